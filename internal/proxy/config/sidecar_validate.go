package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// MaxSidecar is how long the JSON of a Sidecar may be, in bytes: as long as a ConfigMap.
const MaxSidecar = 1 << 20

// DecodeSidecar reads one Sidecar from JSON and validates it. Unknown fields are errors: a
// rule that this build does not know must not be passed over.
func DecodeSidecar(b []byte) (Sidecar, error) {
	if len(b) > MaxSidecar {
		return Sidecar{}, fmt.Errorf("configuration of %d bytes; at most %d are allowed", len(b), MaxSidecar)
	}
	var s Sidecar
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Sidecar{}, fmt.Errorf("decode configuration: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Sidecar{}, errors.New("decode configuration: more than one document")
	}
	return s, s.Validate()
}

// Validate returns what makes s one that no sidecar can serve, all of it joined and each
// with its field, or nil.
func (s Sidecar) Validate() error {
	var errs problems
	errs.check(validTrustDomain(s.TrustDomain), "trustDomain: %q is no trust domain", s.TrustDomain)
	errs.check(validLabel(s.Namespace), "namespace: %q is no DNS label", s.Namespace)
	errs.check(validLabel(s.Workload), "workload: %q is no DNS label", s.Workload)
	ports := map[int]string{MetricsPort: "metrics", HealthPort: "probes"}
	listen := func(field string, port int) {
		errs.check(validPort(port), "%s.listen: %d is no port", field, port)
		errs.check(ports[port] == "", "%s.listen: port %d is taken by %s", field, port, ports[port])
		ports[port] = field
	}
	names := map[string]bool{}
	for i, in := range s.Inbound {
		field := fmt.Sprintf("inbound[%d]", i)
		listen(field, in.Listen)
		errs.check(validLabel(in.Name), "%s.name: %q is no DNS label", field, in.Name)
		errs.check(!names[in.Name], "%s.name: there is another %q", field, in.Name)
		names[in.Name] = true
		errs.check(validPort(in.Target), "%s.target: %d is no port", field, in.Target)
		for j, id := range in.Callers {
			errs.wrap(s.validID(id), "%s.callers[%d]", field, j)
		}
	}
	clear(names)
	for i, out := range s.Outbound {
		field := fmt.Sprintf("outbound[%d]", i)
		listen(field, out.Listen)
		errs.check(validLabel(out.Name), "%s.name: %q is no DNS label", field, out.Name)
		errs.check(!names[out.Name], "%s.name: there is another %q", field, out.Name)
		names[out.Name] = true
		errs.check(out.Host != "" && !strings.HasPrefix(out.Host, "*") && validHostname(strings.TrimSuffix(out.Host, ".")) == nil, "%s.host: %q is no DNS name", field, out.Host)
		errs.check(validPort(out.Port), "%s.port: %d is no port", field, out.Port)
		errs.check(out.Service == "" || validService(out.Service), "%s.service: %q is no DNS name and port", field, out.Service)
		errs.wrap(s.validID(out.Identity), "%s.identity", field)
		errs.check(out.Protocol == ProtocolHTTP || out.Protocol == ProtocolTCP, "%s.protocol: %q is neither %q nor %q", field, out.Protocol, ProtocolHTTP, ProtocolTCP)
		errs.check(out.Timeout >= 0, "%s.timeout: it is negative", field)
	}
	// A target that is a port of the sidecar's own would be a circle.
	for i, in := range s.Inbound {
		errs.check(ports[in.Target] == "", "inbound[%d].target: port %d is the sidecar's own, for %s", i, in.Target, ports[in.Target])
	}
	return errs.join()
}

// validService wants a host, by name or address, and a port.
func validService(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && validPort(n) && validHostname(strings.TrimSuffix(host, ".")) == nil
}

// validID wants a SPIFFE ID of the sidecar's own trust domain, since certificates of any
// other are not accepted.
func (s Sidecar) validID(id string) error {
	path, ok := strings.CutPrefix(id, "spiffe://"+s.TrustDomain+"/")
	if !ok {
		return fmt.Errorf("%q is no SPIFFE ID of the trust domain %q", id, s.TrustDomain)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.Trim(segment, idChars) != "" {
			return fmt.Errorf("%q is no SPIFFE ID: %q is no segment of its path", id, segment)
		}
	}
	return nil
}

const (
	domainChars = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	idChars     = domainChars + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// validTrustDomain follows the SPIFFE ID standard, section 2.1.
func validTrustDomain(s string) bool {
	return s != "" && len(s) <= 255 && strings.Trim(s, domainChars) == ""
}

// validLabel wants a DNS label (RFC 1123).
func validLabel(s string) bool {
	return len(s) <= 63 && s != "" && !strings.Contains(s, ".") && validHostname(s) == nil && s != "*"
}
