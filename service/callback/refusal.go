package callback

import (
	"errors"
	"fmt"
)

// Refusal is why a callback was not accepted: an error with a [Reason]. It says
// everything that the answer, the record and the audit row need to know.
type Refusal struct {
	Reason Reason
	// Class is the reason's own, or Proven when diagnosis opened the message:
	// only a holder of the merchant's key can have made it.
	Class Class
	// Detail is for the operator: our own words and configured names, never
	// text that a sender wrote, never a secret.
	Detail string
	// Notification is what is known of the message, if it could be opened.
	Notification *Notification
	// Trail is where the refusal was recorded; the recorder fills it in.
	Trail Trail
	cause error
}

// Refuse makes a refusal of the reason's usual class.
func Refuse(reason Reason, detail string) *Refusal {
	return &Refusal{Reason: reason, Class: reason.Class(), Detail: detail}
}

// Because attaches the error that led to the refusal, for [errors.Is].
func (r *Refusal) Because(err error) *Refusal { r.cause = err; return r }

// InClass sets another class than the reason's usual one.
func (r *Refusal) InClass(c Class) *Refusal { r.Class = c; return r }

// Status is the HTTP status that answers this refusal. It is never a success:
// a quarantine reason belongs in a [Receipt], and here would be a bug.
func (r *Refusal) Status() int {
	if s := r.Reason.Status(r.Class); s >= 400 {
		return s
	}
	return ReasonInternal.Status(Proven)
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return string(r.Reason)
	}
	return fmt.Sprintf("%s: %s", r.Reason, r.Detail)
}

func (r *Refusal) Unwrap() error { return r.cause }

// AsRefusal reads any error as a refusal. One that carries no reason is ours:
// internal.
func AsRefusal(err error) *Refusal {
	if err == nil {
		return nil
	}
	var r *Refusal
	if errors.As(err, &r) && r != nil {
		return r
	}
	return Refuse(ReasonInternal, "unclassified error").Because(err)
}
