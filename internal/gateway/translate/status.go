package translate

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// verdict is what is said of one condition. The zero value is a good one, without a reason.
type verdict struct {
	bad     bool
	reason  string
	message string
}

// problem returns a bad verdict.
func problem[R ~string](reason R, message string) verdict {
	return verdict{bad: true, reason: string(reason), message: message}
}

// and returns the first of two verdicts that is bad; of two bad ones with both messages.
func (v verdict) and(w verdict) verdict {
	switch {
	case !v.bad:
		return w
	case w.bad && !strings.Contains(v.message, w.message):
		v.message += "; " + w.message
	}
	return v
}

// condition returns a condition that is true, with the reason good, unless the verdict
// is bad.
func condition[T, R ~string](kind T, v verdict, good R, generation int64) metav1.Condition {
	c := metav1.Condition{
		Type: string(kind), Status: metav1.ConditionTrue, Reason: string(good), ObservedGeneration: generation,
		Message: strings.ReplaceAll(v.message, "\n", "; "),
	}
	if v.bad {
		c.Status, c.Reason = metav1.ConditionFalse, v.reason
	}
	if len(c.Message) > maxMessage {
		c.Message = c.Message[:maxMessage] + "..."
	}
	return c
}

// maxMessage is what a message is cut to: the API takes 32,768 bytes, and people read less.
const maxMessage = 2000
