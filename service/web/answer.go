package web

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"

	"wxnotify/service/callback"
)

// answer is what WeChat Pay gets. In v3 the status decides and the body is for
// people; in v2 the body decides. A failure therefore always carries both.
//
// Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012791836 and
// https://pay.weixin.qq.com/doc/v2/partner/4011984734
type answer struct {
	status      int
	contentType string
	body        []byte
}

// answerTo is the only place where a success answer is built, and it is built
// from a receipt with proof. Anything else is a failure that WeChat sends again.
func answerTo(api callback.API, receipt callback.Receipt, err error) answer {
	switch {
	case err != nil:
		refusal := callback.AsRefusal(err)
		return failure(api, refusal.Status(), refusal.Reason.Message())
	case !receipt.Proof():
		return failure(api, http.StatusInternalServerError, callback.ReasonInternal.Message())
	case api == callback.V2:
		return answer{api.Success(), "text/xml; charset=utf-8", xmlAnswer("SUCCESS", "OK")}
	}
	return answer{status: api.Success()}
}

func failure(api callback.API, status int, message string) answer {
	if api == callback.V2 {
		return answer{status, "text/xml; charset=utf-8", xmlAnswer("FAIL", message)}
	}
	body, err := json.Marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"FAIL", message})
	if err != nil { // two plain strings always marshal
		body = []byte(`{"code":"FAIL"}`)
	}
	return answer{status, "application/json; charset=utf-8", body}
}

// xmlAnswer writes the flat document that v2 reads. WeChat Pay refuses a BOM,
// line breaks and anything else around it.
func xmlAnswer(code, message string) []byte {
	var escaped strings.Builder
	if xml.EscapeText(&escaped, []byte(message)) != nil {
		escaped.Reset()
	}
	return []byte("<xml><return_code><![CDATA[" + code + "]]></return_code><return_msg><![CDATA[" +
		escaped.String() + "]]></return_msg></xml>")
}

// write puts the answer on the wire.
func (a answer) write(w http.ResponseWriter) error {
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(a.status)
	_, err := w.Write(a.body)
	return err
}
