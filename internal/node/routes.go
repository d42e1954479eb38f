package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routes leads requests for *.localhost names to the environment's gateways. All that it
// knows of an HTTPRoute is which names belong to which Gateway; everything else is the
// gateways' business. TLS ends at the gateways, so of a connection that begins with it
// the name that it asks for is read, and nothing is changed.
type routes struct {
	c        Config
	services corelisters.ServiceLister
	list     cache.GenericLister
	port     int // of the gateways' Services
	tlsPort  int // the same for TLS
	synced   []cache.InformerSynced
	changed  flag
	table    atomic.Pointer[[]route]
	log      *slog.Logger
}

// route is a name that a gateway serves.
type route struct {
	host string
	to   *httputil.ReverseProxy
	// tls is where the gateway serves TLS; empty: it does not.
	tls string
}

// gatewayLabel has, on a gateway's Service, the name of its Gateway (GEP-1762); gatewayPort
// is where the gateways serve plain HTTP, gatewayTLS where they serve HTTPS.
const (
	gatewayLabel = "gateway.networking.k8s.io/gateway-name"
	gatewayPort  = 80
	gatewayTLS   = 443
)

func newRoutes(c Config, f informers.SharedInformerFactory, d dynamicinformer.DynamicSharedInformerFactory, log *slog.Logger) *routes {
	i := d.ForResource(schema.GroupVersionResource{Group: gatewayv1.GroupName, Version: "v1", Resource: "httproutes"})
	r := &routes{c: c, services: f.Core().V1().Services().Lister(), list: i.Lister(), port: gatewayPort, tlsPort: gatewayTLS, changed: newFlag(), log: log}
	r.synced = []cache.InformerSynced{watch(i.Informer(), r.changed), watch(f.Core().V1().Services().Informer(), r.changed)}
	r.table.Store(&[]route{})
	return r
}

func (r *routes) run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(r.c.Addr().String(), strconv.Itoa(routePort)))
	if err != nil {
		return err
	}
	secure, err := lc.Listen(ctx, "tcp", net.JoinHostPort(r.c.Addr().String(), strconv.Itoa(tlsPort)))
	if err != nil {
		return errors.Join(err, l.Close())
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { r.serveTLS(ctx, secure) })
	server := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(r.log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	go func() {
		if !cache.WaitForCacheSync(ctx.Done(), r.synced...) {
			return
		}
		for {
			r.rebuild()
			select {
			case <-ctx.Done():
				return
			case <-r.changed:
			}
		}
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// rebuild makes the table of routes anew.
func (r *routes) rebuild() {
	objs, err := r.list.List(labels.Everything())
	if err != nil {
		r.log.Error("routes", "error", err)
		return
	}
	var table []route
	for _, o := range objs {
		u, ok := o.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		var hr gatewayv1.HTTPRoute
		b, err := json.Marshal(u.Object)
		if err == nil {
			err = json.Unmarshal(b, &hr)
		}
		if err != nil {
			r.log.Error("route", "name", u.GetName(), "error", err)
			continue
		}
		table = append(table, r.routesOf(&hr)...)
	}
	// The longest name wins, those without "*" before those with.
	slices.SortStableFunc(table, func(a, b route) int {
		wild := func(r route) int { return strings.Count(r.host, "*") }
		return cmp.Or(wild(a)-wild(b), len(b.host)-len(a.host), strings.Compare(a.host, b.host))
	})
	r.table.Store(&table)
}

// routesOf returns the names of a route, with the gateway that serves them.
func (r *routes) routesOf(hr *gatewayv1.HTTPRoute) []route {
	var out []route
	for _, parent := range hr.Spec.ParentRefs {
		if parent.Kind != nil && *parent.Kind != "Gateway" {
			continue
		}
		namespace := hr.Namespace
		if parent.Namespace != nil {
			namespace = string(*parent.Namespace)
		}
		svc := r.service(namespace, string(parent.Name))
		if svc == nil {
			continue
		}
		to := route{to: r.proxy(net.JoinHostPort(svc.Spec.ClusterIP, strconv.Itoa(r.port)), namespace+"/"+string(parent.Name))}
		if serves(svc, r.tlsPort) {
			to.tls = net.JoinHostPort(svc.Spec.ClusterIP, strconv.Itoa(r.tlsPort))
		}
		for _, h := range hr.Spec.Hostnames {
			to.host = strings.ToLower(string(h))
			out = append(out, to)
		}
	}
	return out
}

// service returns a Gateway's Service; nil where it has none.
func (r *routes) service(namespace, gateway string) *corev1.Service {
	list, err := r.services.Services(namespace).List(labels.SelectorFromSet(labels.Set{gatewayLabel: gateway}))
	if err != nil {
		return nil
	}
	for _, s := range list {
		if s.Spec.ClusterIP != "" && serves(s, r.port) {
			return s
		}
	}
	return nil
}

// serves reports whether a Service has a port.
func serves(s *corev1.Service, port int) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == port })
}

// transport makes a connection for each request: one that was kept would go on leading
// to a pod that the service has replaced.
var transport = &http.Transport{
	DialContext:       dialGateway,
	DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute,
}

// dials is how often a connection is tried.
const dials = 3

// afterRefusal is how long is waited before a connection that was refused is tried anew.
const afterRefusal = 200 * time.Millisecond

var dialGateway = again((&net.Dialer{Timeout: time.Second}).DialContext)

// again dials anew what timed out or was refused. Under load, with a connection for each
// request, a port may still be that of an earlier connection: nobody answers, however long
// one waits, but the next port is as good as any. And a Service may lead for a moment more
// to a pod that has just ended. Nothing has been sent by then.
func again(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		for range dials {
			conn, err = dial(ctx, network, address)
			refused := errors.Is(err, unix.ECONNREFUSED)
			if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() && !refused || ctx.Err() != nil {
				break
			}
			if refused {
				select {
				case <-ctx.Done():
				case <-time.After(afterRefusal):
				}
			}
		}
		return conn, err
	}
}

func (r *routes) proxy(addr, name string) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: addr}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
		},
		Transport:      transport,
		ModifyResponse: r.outside,
		ErrorHandler: func(w http.ResponseWriter, q *http.Request, err error) {
			r.log.Error("route", "gateway", name, "path", q.URL.Path, "error", err)
			http.Error(w, fmt.Sprintf("The gateway %s does not answer. `strata status` says how it is.", name), http.StatusBadGateway)
		},
	}
}

// ServeHTTP implements http.Handler.
func (r *routes) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	host := strings.ToLower(q.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if t, ok := r.find(host); ok {
		t.to.ServeHTTP(w, q)
		return
	}
	http.Error(w, "No route has the name "+strconv.Quote(host)+". `strata status` lists the routes.", http.StatusNotFound)
}

// find returns the route for a host.
func (r *routes) find(host string) (route, bool) {
	for _, t := range *r.table.Load() {
		if t.serves(host) {
			return t, true
		}
	}
	return route{}, false
}

// outside makes a redirect to a route lead to where it is served on the machine, whose
// ports nobody inside of the node knows.
func (r *routes) outside(a *http.Response) error {
	location := a.Header.Get("Location")
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || u.Port() != "" {
		return nil // an answer is passed on as it is
	}
	port := map[string]int{"http": r.c.HTTP, "https": r.c.HTTPS}[u.Scheme]
	if port == 0 || port == map[string]int{"http": 80, "https": 443}[u.Scheme] {
		return nil
	}
	if _, ok := r.find(strings.ToLower(u.Hostname())); ok {
		a.Header.Set("Location", strings.Replace(location, "//"+u.Host, "//"+net.JoinHostPort(u.Hostname(), strconv.Itoa(port)), 1))
	}
	return nil
}

// serves reports whether a route is for a host. A name that begins with "*." is for all
// names below the rest.
func (t route) serves(host string) bool {
	below, wild := strings.CutPrefix(t.host, "*")
	return t.host == host || wild && strings.HasSuffix(host, below)
}
