#!/usr/bin/env python3
"""Writes messages.json and the keys beside it: callbacks that another
implementation signed and encrypted.

RSA signatures, certificates and AES-ECB are the openssl command's, AES-GCM is
the Python package `cryptography`'s, MD5 and HMAC are Python's own. Private keys
are made afresh and thrown away, so every run changes every file.

    cd service/wechatpay && python3 testdata/generate.py && go test . -update
"""
import base64, hashlib, hmac, json, pathlib, subprocess, tempfile
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).parent
APIV3 = "2f9ZqLxT7mWc4RkVb8NyGd3PsHj6EuAa"
APIV3_OLD = "oldKey0oldKey1oldKey2oldKey3oldK"
APIV2 = "192006250b4c09247ec02edce69f6a2d"
MCHID, APPID = "1900000109", "wxd678efh567hg6787"
AT = 1760000000  # every message is signed at this moment
PUB = "PUB_KEY_ID_0119000001092024112000389600000001"


def run(*args, data=None):
    return subprocess.run(args, input=data, check=True, capture_output=True).stdout


def certificate(tmp, name, subject):
    key, crt = tmp / f"{name}.key", HERE / f"{name}.pem"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1825", "-utf8",
        "-subj", subject, "-keyout", str(key), "-out", str(crt))
    serial = run("openssl", "x509", "-in", str(crt), "-noout", "-serial").decode().strip().split("=")[1]
    return key, serial


def rsa_sign(key, message):
    return base64.b64encode(run("openssl", "dgst", "-sha256", "-sign", str(key), data=message)).decode()


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def envelope(event, original, plain, secret=APIV3, nonce="fdasflkja484", ident=None):
    sealed = AESGCM(secret.encode()).encrypt(nonce.encode(), plain.encode(), original.encode())
    return compact({
        "id": ident or "EV-2018022511223320873", "create_time": "2025-10-09T16:53:00+08:00",
        "resource_type": "encrypt-resource", "event_type": event, "summary": "支付成功",
        "resource": {"original_type": original, "algorithm": "AEAD_AES_256_GCM",
                     "ciphertext": base64.b64encode(sealed).decode(),
                     "associated_data": original, "nonce": nonce}})


def v2_sign(fields, kind):
    text = "&".join(f"{k}={v}" for k, v in sorted(fields.items()) if v != "") + "&key=" + APIV2
    if kind == "md5":
        return hashlib.md5(text.encode()).hexdigest().upper()
    return hmac.new(APIV2.encode(), text.encode(), hashlib.sha256).hexdigest().upper()


def xml(fields, root="xml"):
    return f"<{root}>" + "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in fields.items()) + f"</{root}>"


payment = {
    "mchid": MCHID, "appid": APPID, "out_trade_no": "1217752501201407033233368018",
    "transaction_id": "1217752501201407033233368018", "trade_type": "JSAPI", "trade_state": "SUCCESS",
    "trade_state_desc": "支付成功", "bank_type": "CMC", "attach": "自定义数据",
    "success_time": "2025-10-09T16:52:59+08:00", "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
    "amount": {"total": 100, "payer_total": 90, "currency": "CNY", "payer_currency": "CNY"},
    "scene_info": {"device_id": "013467007045764"},
    "promotion_detail": [{"coupon_id": "109519", "amount": 10, "goods_detail": [{"goods_id": "M1006"}]}]}
refund = {
    "mchid": MCHID, "transaction_id": "1008450740201411110005820873", "out_trade_no": "20150806125346",
    "refund_id": "50200207182018070300011301001", "out_refund_no": "7752501201407033233368018",
    "refund_status": "SUCCESS", "success_time": "2025-10-09T16:52:59+08:00",
    "user_received_account": "招商银行信用卡0403",
    "amount": {"total": 999, "refund": 333, "payer_total": 999, "payer_refund": 333}}
combined = {
    "combine_appid": APPID, "combine_mchid": MCHID, "combine_out_trade_no": "20150806125346",
    "sub_orders": [{"mchid": "1230000109", "trade_type": "JSAPI", "trade_state": "SUCCESS",
                    "amount": {"total_amount": 10, "currency": "CNY"}, "out_trade_no": "20150806125346",
                    "transaction_id": "1009660380201506130728806387"}],
    "combine_payer_info": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}
partner = {
    "sp_appid": APPID, "sp_mchid": MCHID, "sub_mchid": "1900000110", "out_trade_no": "1217752501201407033233368018",
    "transaction_id": "1217752501201407033233368018", "trade_type": "JSAPI", "trade_state": "SUCCESS",
    "payer": {"sp_openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}, "amount": {"total": 100, "currency": "CNY"}}
sharing = {
    "mchid": "1900000100", "transaction_id": "4200000000000000000000000000", "order_id": "1217752501201407033233368018",
    "out_order_no": "P20150806125346",
    "receiver": {"type": "MERCHANT_ID", "account": MCHID, "amount": 888, "description": "运费/交易分账/及时奖励"},
    "success_time": "2025-10-09T16:52:59+08:00"}
transfer = {
    "out_bill_no": "plfk2020042013", "transfer_bill_no": "1330000071100999991182020050700019480001",
    "state": "SUCCESS", "mchid": MCHID, "transfer_amount": 2000, "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}
payscore = {
    "appid": APPID, "mchid": MCHID, "service_id": "500001", "out_order_no": "1234323JKHDFE1243252",
    "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "state": "DOING"}

v2_payment = {
    "appid": APPID, "attach": "支付测试", "bank_type": "CFT", "cash_fee": "1", "device_info": "", "fee_type": "CNY",
    "is_subscribe": "Y", "mch_id": MCHID, "nonce_str": "5d2b6c2a8db53831f7eda20af46e531c",
    "openid": "oUpF8uMEb4qRXf22hE3X68TekukE", "out_trade_no": "1409811653", "result_code": "SUCCESS",
    "return_code": "SUCCESS", "time_end": "20251009165259", "total_fee": "1", "trade_type": "JSAPI",
    "transaction_id": "1004400740201409030005092168"}
v2_refund = {
    "out_refund_no": "131811191610442717309", "out_trade_no": "71106718111915575302817",
    "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS", "refund_fee": "3960",
    "refund_id": "50000408942018111907145868882", "refund_recv_accout": "支付用户零钱",
    "refund_request_source": "API", "refund_status": "CHANGE", "settlement_refund_fee": "3960",
    "settlement_total_fee": "3960", "success_time": "2025-10-09 16:52:59", "total_fee": "3960",
    "transaction_id": "4200000215201811190261405420"}


def main():
    out = []
    with tempfile.TemporaryDirectory() as d:
        tmp = pathlib.Path(d)
        platform, serial = certificate(tmp, "platform", "/C=CN/O=Tenpay.com/OU=Tenpay.com CA Center/CN=Tenpay.com sign")
        certificate(tmp, "merchant", f"/C=CN/O=微信商户系统/OU=测试商户/L=深圳/CN={MCHID}")
        pub = tmp / "pub.key"
        run("openssl", "genrsa", "-out", str(pub), "2048")
        run("openssl", "rsa", "-in", str(pub), "-pubout", "-out", str(HERE / "pub_key.pem"))
        ec = run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout")
        (HERE / "ec_pub.pem").write_bytes(run("openssl", "ec", "-pubout", data=ec))

        def v3(name, body, key=platform, ident=serial, at=AT, **headers):
            nonce = hashlib.sha256(name.encode()).hexdigest()[:32]
            message = f"{at}\n{nonce}\n{body}\n".encode()
            out.append({"name": name, "headers": {
                "Serial": ident, "Timestamp": str(at), "Nonce": nonce, "Value": rsa_sign(key, message), **headers},
                "body": body})

        v3("payment", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment)))
        v3("payment_public_key", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment)), pub, PUB,
           Type="WECHATPAY2-SHA256-RSA2048")
        v3("payment_old_apiv3_key", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment), APIV3_OLD))
        # Spaces, escapes and another key order: raw bytes are what is signed.
        body = json.dumps(json.loads(envelope("TRANSACTION.SUCCESS", "transaction", json.dumps(payment, indent=1))),
                          indent=2, sort_keys=True).replace("/", "\\/")
        v3("payment_reformatted_by_sender", body)
        v3("payment_empty_associated_data", envelope("TRANSACTION.SUCCESS", "", compact(payment)))
        v3("payment_wrong_merchant", envelope("TRANSACTION.SUCCESS", "transaction", compact({**payment, "mchid": "1900000999"})))
        v3("payment_wrong_appid", envelope("TRANSACTION.SUCCESS", "transaction", compact({**payment, "appid": "wx0000000000000000"})))
        v3("payment_stranger_apiv3_key", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment), "x" * 32))
        v3("payment_stale", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment)), at=AT - 301)
        v3("payment_300s_old", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment)), at=AT - 300)
        v3("payment_not_paid", envelope("TRANSACTION.SUCCESS", "transaction", compact({**payment, "trade_state": "NOTPAY"})))
        v3("combined", envelope("TRANSACTION.SUCCESS", "transaction", compact(combined)))
        v3("partner", envelope("TRANSACTION.SUCCESS", "transaction", compact(partner)))
        v3("profit_sharing_as_transaction", envelope("TRANSACTION.SUCCESS", "transaction", compact(sharing)))
        v3("transaction_unknown_event", envelope("TRANSACTION.NEWS", "transaction", compact(payment)))
        v3("refund", envelope("REFUND.SUCCESS", "refund", compact(refund)))
        v3("refund_abnormal", envelope("REFUND.ABNORMAL", "refund", compact({**refund, "refund_status": "ABNORMAL"})))
        v3("refund_state_disagrees", envelope("REFUND.SUCCESS", "refund", compact({**refund, "refund_status": "CLOSED"})))
        v3("transfer", envelope("MCHTRANSFER.BILL.FINISHED", "mch_payment", compact(transfer)))
        v3("payscore", envelope("PAYSCORE.USER_CONFIRM", "payscore", compact(payscore)))
        v3("wants_an_answer", envelope("CROSS_BORDER_PAY.GET_MCH_INFO", "cross_border_pay", compact({"mchid": MCHID})))
        v3("forged", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment), "x" * 32), pub)
        v3("signed_by_other_key", envelope("TRANSACTION.SUCCESS", "transaction", compact(payment)), pub)

        def v2(name, body):
            out.append({"name": name, "body": body})

        v2("v2_md5", xml({**v2_payment, "sign": v2_sign(v2_payment, "md5")}))
        v2("v2_hmac", xml({**v2_payment, "sign": v2_sign(v2_payment, "hmac")}))
        newer = {**v2_payment, "a_field_of_tomorrow": "&<>", "sub_mch_id": "1900000110"}
        v2("v2_unknown_field", xml({**newer, "sign": v2_sign(newer, "hmac")}))
        failed = {**v2_payment, "result_code": "FAIL", "err_code": "SYSTEMERROR"}
        v2("v2_not_paid", xml({**failed, "sign": v2_sign(failed, "hmac")}))
        key = hashlib.md5(APIV2.encode()).hexdigest().encode().hex()
        info = run("openssl", "enc", "-aes-256-ecb", "-K", key, data=xml(v2_refund, "root").encode())
        v2("v2_refund", xml({"return_code": "SUCCESS", "appid": APPID, "mch_id": MCHID,
                             "nonce_str": "TeqClE3i0mvn3DrK", "req_info": base64.b64encode(info).decode()}))
    (HERE / "messages.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")


main()
