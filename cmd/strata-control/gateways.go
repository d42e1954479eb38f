package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	corev1 "k8s.io/api/core/v1"

	"github.com/stratahq/strata/internal/gateway"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/feed"
	"github.com/stratahq/strata/internal/webca"
)

// gatewaySettings are what the program is told about gateways.
type gatewaySettings struct {
	options gateway.Options
	// feed is the address where gateways ask for their configuration.
	feed string
	// authority says how their certificates are issued; without domains none are.
	authority webca.Options
}

// flags adds the flags; what it returns completes the settings when they are parsed.
func (s *gatewaySettings) flags(f *flag.FlagSet) func() error {
	o := &s.options
	f.StringVar(&s.feed, "feed-address", ":"+strconv.Itoa(config.ControlPort), "where gateways ask for their configuration, by mutual TLS")
	f.StringVar(&o.Deploy.Image, "gateway-image", "", "image of strata-proxy; without it there are no gateways")
	f.StringVar(&o.Deploy.Telemetry, "gateway-telemetry", "", "URL that takes gateways' traces by OTLP over HTTP")
	service := f.String("gateway-service", string(corev1.ServiceTypeLoadBalancer), "type of the gateways' Services: LoadBalancer or ClusterIP")
	replicas := f.Int("gateway-replicas", 2, "how many pods a gateway has")
	namespaces := f.String("gateway-secret-namespaces", "", "namespaces with certificates of gateways, joined by commas (all)")
	pull := f.String("gateway-pull-secrets", "", "Secrets beside the gateways to pull the image with, joined by commas")
	ca := &s.authority
	domains := f.String("web-ca-domains", "", "domains that the platform's own authority issues gateways' certificates for, joined by commas; without them it issues none")
	f.StringVar(&ca.Namespace, "web-ca-namespace", "", "namespace of the gateways that get certificates")
	f.DurationVar(&ca.CertificateLife, "web-certificate-life", 0, "how long a gateway's certificate holds (720h)")
	f.DurationVar(&ca.RootLife, "web-ca-life", 0, "how long the authority holds (43800h)")
	f.DurationVar(&ca.Overlap, "web-ca-overlap", 0, "how long the next authority is published before it signs (4320h)")
	return func() error {
		ca.Domains = split(*domains)
		o.Deploy.Service, o.Deploy.Replicas = corev1.ServiceType(*service), int32(*replicas)
		o.SecretNamespaces, o.Deploy.PullSecrets = split(*namespaces), split(*pull)
		if o.Deploy.Service != corev1.ServiceTypeClusterIP && o.Deploy.Service != corev1.ServiceTypeLoadBalancer {
			return fmt.Errorf("gateways cannot have Services of type %q", *service)
		}
		if *replicas < 1 || *replicas > 100 {
			return fmt.Errorf("a gateway cannot have %d pods", *replicas)
		}
		return nil
	}
}

// split returns the parts of a list that is joined by commas.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// gateways returns the parts that serve the Gateway API; none if there is no image.
func (c *control) gateways() ([]part, error) {
	s := c.settings.gateways
	if s.options.Deploy.Image == "" {
		return nil, nil
	}
	td := c.identity.TrustDomain()
	s.options.TrustDomain = td.Name()
	f := feed.New(td.Name(), c.log)
	deps := gateway.Deps{REST: c.rest, Client: c.client, Feed: f, Log: c.log}
	var parts []part
	if len(s.authority.Domains) > 0 {
		ca, err := webca.New(webca.Deps{Client: c.client, Log: c.log, Events: c.events, Metrics: c.metrics}, s.authority)
		if err != nil {
			return nil, err
		}
		deps.Issuer = ca
		parts = append(parts, part{name: "gateways' certificates", leads: true, run: ca.Lead})
	}
	g, err := gateway.New(deps, s.options)
	if err != nil {
		return nil, err
	}
	c.ready["gateways"] = g.Ready
	serve := func(ctx context.Context) error {
		// Streams last as long as the program does, and would hold up its end.
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stream, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			f.ServeHTTP(w, r.WithContext(stream))
		})
		// Which of the trust domain's members may have what, the feed knows.
		server := &http.Server{Addr: s.feed, Handler: handler, TLSConfig: tlsconfig.MTLSServerConfig(c.identity, c.identity, tlsconfig.AuthorizeMemberOf(td))}
		return c.serve(ctx, server, func() error { return server.ListenAndServeTLS("", "") })
	}
	return append(parts,
		part{name: "gateways", run: g.Run},
		part{name: "feed", run: serve},
		part{name: "gateways' pods", leads: true, run: g.Lead},
	), nil
}
