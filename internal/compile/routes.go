package compile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/model"
)

// Route is a way into the environment from outside of its cluster.
type Route struct {
	// Workload answers, on the route of this Class: public or internal.
	Workload, Class string
	// URL is what people open, without a port.
	URL string
	// Host and Path are what the route matches.
	Host, Path string
}

// TLS reports whether the environment's routes are served with TLS.
func (c *Compiled) TLS() bool {
	return c.kubeEnv.IngressDomain != "" && c.kubeEnv.TLS != model.TLSDisabled
}

// scheme is that of routes' URLs.
func (c *Compiled) scheme() string {
	if c.kubeEnv.TLS == model.TLSDisabled {
		return "http"
	}
	return "https"
}

// Routes returns the ways into the environment, public ones first, then by workload
// and URL; none where it has no ingress.
func (c *Compiled) Routes() []Route {
	if c.kubeEnv.IngressDomain == "" {
		return nil
	}
	scheme := c.scheme()
	var out []Route
	for _, w := range c.workloads {
		for _, r := range w.Routes {
			out = append(out, Route{Workload: w.Name, Class: r.Class, Host: r.Host, Path: r.Path, URL: scheme + "://" + r.Host + r.Path})
		}
	}
	slices.SortFunc(out, func(a, b Route) int {
		return cmp.Or(-strings.Compare(a.Class, b.Class), strings.Compare(a.Workload, b.Workload), strings.Compare(a.URL, b.URL))
	})
	return out
}
