// Command peer is what pods of the tests of strata-control run. It serves and makes
// connections by mutual TLS with the identity that is mounted into the pod, which it reads
// anew for each, and says over HTTP what it has: never the key. Without an argument it
// holds a pod's namespaces.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

const (
	credentials = "/run/strata/identity/credentials.pem"
	trust       = "/run/strata/identity/trust.pem"
)

// files are a source that reads the mounted files each time.
type files struct{}

// GetX509SVID implements x509svid.Source.
func (files) GetX509SVID() (*x509svid.SVID, error) { return x509svid.Load(credentials, credentials) }

// GetX509BundleForTrustDomain implements x509bundle.Source.
func (files) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return x509bundle.Load(td, trust)
}

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if len(os.Args) > 1 {
		go serve()
		go control()
	}
	<-stop
}

// serve answers with the identity of whoever connects.
func serve() {
	l, err := tls.Listen("tcp", ":8443", tlsconfig.MTLSServerConfig(files{}, files{}, tlsconfig.AuthorizeAny()))
	check(err)
	check(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := x509svid.IDFromCert(r.TLS.PeerCertificates[0])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(id.String()))
	})))
}

// control says what the pod has, and lets it connect to others.
func control() {
	http.HandleFunc("/has", func(w http.ResponseWriter, _ *http.Request) {
		var out struct {
			Chain, Trust               []string
			ChainChanged, TrustChanged time.Time
		}
		b, _ := os.ReadFile(credentials)
		out.Chain = certificates(b)
		b, _ = os.ReadFile(trust)
		out.Trust = certificates(b)
		out.ChainChanged, out.TrustChanged = changed(credentials), changed(trust)
		_ = json.NewEncoder(w).Encode(out)
	})
	http.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		var theirs spiffeid.ID
		c := tlsconfig.MTLSClientConfig(files{}, files{}, func(id spiffeid.ID, _ [][]*x509.Certificate) error { theirs = id; return nil })
		conn, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}).Get("https://" + net.JoinHostPort(r.URL.Query().Get("to"), "8443"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer conn.Body.Close()
		b := make([]byte, 1000)
		n, _ := conn.Body.Read(b)
		_ = json.NewEncoder(w).Encode(map[string]string{"they": theirs.String(), "me": string(b[:n])})
	})
	check(http.ListenAndServe(":7777", nil))
}

// certificates are those in a PEM, without keys.
func certificates(b []byte) []string {
	var out []string
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return out
		}
		if block.Type == "CERTIFICATE" {
			out = append(out, string(pem.EncodeToMemory(block)))
		}
	}
}

func changed(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
