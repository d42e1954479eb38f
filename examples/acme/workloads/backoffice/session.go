package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	sessionCookie = "session"
	sessionTime   = 8 * time.Hour
)

// sessions are cookies that say who works here and until when, signed so that nobody can
// write one himself. They name whoever says so and prove nothing: who may come here is
// for the internal route, and for the identity provider in front of it.
type sessions struct{ key []byte }

func (s sessions) sign(text string) []byte {
	h := hmac.New(sha256.New, s.key)
	fmt.Fprintf(h, "backoffice session\x00%s", text)
	return h.Sum(nil)
}

// value makes a cookie's value.
func (s sessions) value(name string, now time.Time) string {
	text := strconv.FormatInt(now.Add(sessionTime).Unix(), 10) + "|" + name
	return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + base64.RawURLEncoding.EncodeToString(s.sign(text))
}

// name returns who a cookie's value names, or nothing if it is not ours or has expired.
func (s sessions) name(value string, now time.Time) string {
	a, b, _ := strings.Cut(value, ".")
	text, err := base64.RawURLEncoding.DecodeString(a)
	if err != nil {
		return ""
	}
	mac, err := base64.RawURLEncoding.DecodeString(b)
	if err != nil || !hmac.Equal(mac, s.sign(string(text))) {
		return ""
	}
	until, name, _ := strings.Cut(string(text), "|")
	if t, err := strconv.ParseInt(until, 10, 64); err != nil || now.Unix() >= t {
		return ""
	}
	return name
}

// who returns who makes a request, or nothing.
func (s sessions) who(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return s.name(c.Value, time.Now())
}
