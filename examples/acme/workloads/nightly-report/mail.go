package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/smtp"
)

// mail is where reports are sent to. The connection is encrypted (STARTTLS) wherever the
// server is not on this machine: the library refuses to sign in otherwise.
type mail struct {
	host, port, user, password, from, to string
}

func (m mail) send(addr, subject string, html []byte) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "From: %s\r\nTo: %s\r\nSubject: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n", m.from, m.to, subject)
	text := base64.StdEncoding.EncodeToString(html)
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	out.WriteString(text + "\r\n")
	return smtp.SendMail(addr, smtp.PlainAuth("", m.user, m.password, m.host), m.from, []string{m.to}, out.Bytes())
}
