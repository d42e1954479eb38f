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
	"sync/atomic"
	"time"

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
// gateways' business.
type routes struct {
	c        Config
	services corelisters.ServiceLister
	list     cache.GenericLister
	port     int // of the gateways' Services
	synced   []cache.InformerSynced
	changed  flag
	table    atomic.Pointer[[]route]
	log      *slog.Logger
}

// route is a name that a gateway serves.
type route struct {
	host string
	to   *httputil.ReverseProxy
}

// gatewayLabel has, on a gateway's Service, the name of its Gateway (GEP-1762); gatewayPort
// is where the gateways serve plain HTTP.
const (
	gatewayLabel = "gateway.networking.k8s.io/gateway-name"
	gatewayPort  = 80
)

func newRoutes(c Config, f informers.SharedInformerFactory, d dynamicinformer.DynamicSharedInformerFactory, log *slog.Logger) *routes {
	i := d.ForResource(schema.GroupVersionResource{Group: gatewayv1.GroupName, Version: "v1", Resource: "httproutes"})
	r := &routes{c: c, services: f.Core().V1().Services().Lister(), list: i.Lister(), port: gatewayPort, changed: newFlag(), log: log}
	r.synced = []cache.InformerSynced{watch(i.Informer(), r.changed), watch(f.Core().V1().Services().Informer(), r.changed)}
	r.table.Store(&[]route{})
	return r
}

func (r *routes) run(ctx context.Context) error {
	l, err := net.Listen("tcp", net.JoinHostPort(r.c.Addr().String(), strconv.Itoa(routePort)))
	if err != nil {
		return err
	}
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
		if svc == "" {
			continue
		}
		proxy := r.proxy(net.JoinHostPort(svc, strconv.Itoa(r.port)), namespace+"/"+string(parent.Name))
		for _, h := range hr.Spec.Hostnames {
			out = append(out, route{host: strings.ToLower(string(h)), to: proxy})
		}
	}
	return out
}

// service returns the address of a Gateway's Service; empty where it has none.
func (r *routes) service(namespace, gateway string) string {
	list, err := r.services.Services(namespace).List(labels.SelectorFromSet(labels.Set{gatewayLabel: gateway}))
	if err != nil {
		return ""
	}
	for _, s := range list {
		if s.Spec.ClusterIP != "" && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == r.port }) {
			return s.Spec.ClusterIP
		}
	}
	return ""
}

// transport makes a connection for each request: one that was kept would go on leading
// to a pod that the service has replaced.
var transport = &http.Transport{
	DialContext:       (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
	DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute,
}

func (r *routes) proxy(addr, name string) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: addr}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
		},
		Transport: transport,
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
	for _, t := range *r.table.Load() {
		if t.serves(host) {
			t.to.ServeHTTP(w, q)
			return
		}
	}
	http.Error(w, "No route has the name "+strconv.Quote(host)+". `strata status` lists the routes.", http.StatusNotFound)
}

// serves reports whether a route is for a host. A name that begins with "*." is for all
// names below the rest.
func (t route) serves(host string) bool {
	below, wild := strings.CutPrefix(t.host, "*")
	return t.host == host || wild && strings.HasSuffix(host, below)
}
