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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routes serves the routes of *.localhost names by plain HTTP: hosts, path prefixes
// and backends of HTTPRoutes, and none of their filters. It stands in until the
// environment's gateway does.
type routes struct {
	c        Config
	services corelisters.ServiceLister
	list     cache.GenericLister
	synced   []cache.InformerSynced
	changed  flag
	table    atomic.Pointer[[]route]
	log      *slog.Logger
}

// route is a host and a path that lead to a service.
type route struct {
	host, path string
	to         *httputil.ReverseProxy
}

func newRoutes(c Config, f informers.SharedInformerFactory, d dynamicinformer.DynamicSharedInformerFactory, log *slog.Logger) *routes {
	i := d.ForResource(schema.GroupVersionResource{Group: gatewayv1.GroupName, Version: "v1", Resource: "httproutes"})
	r := &routes{c: c, services: f.Core().V1().Services().Lister(), list: i.Lister(), changed: newFlag(), log: log}
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
	// The longest name wins, those without "*" before those with, and then the longest path.
	slices.SortStableFunc(table, func(a, b route) int {
		wild := func(r route) int { return strings.Count(r.host, "*") }
		return cmp.Or(wild(a)-wild(b), len(b.host)-len(a.host), strings.Compare(a.host, b.host), len(b.path)-len(a.path))
	})
	r.table.Store(&table)
}

func (r *routes) routesOf(hr *gatewayv1.HTTPRoute) []route {
	var out []route
	for _, rule := range hr.Spec.Rules {
		if len(rule.BackendRefs) == 0 {
			continue
		}
		ref := rule.BackendRefs[0]
		svc, err := r.services.Services(hr.Namespace).Get(string(ref.Name))
		if err != nil || ref.Port == nil || svc.Spec.ClusterIP == "" {
			continue
		}
		proxy := r.proxy(net.JoinHostPort(svc.Spec.ClusterIP, strconv.Itoa(int(*ref.Port))), hr.Namespace+"/"+string(ref.Name))
		paths := []string{"/"}
		if len(rule.Matches) > 0 {
			paths = nil
			for _, m := range rule.Matches {
				if m.Path != nil && m.Path.Value != nil {
					paths = append(paths, *m.Path.Value)
				}
			}
		}
		for _, h := range hr.Spec.Hostnames {
			for _, p := range paths {
				out = append(out, route{host: strings.ToLower(string(h)), path: p, to: proxy})
			}
		}
	}
	return out
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
			p.SetXForwarded()
			p.Out.Host = p.In.Host
		},
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, q *http.Request, err error) {
			r.log.Error("route", "service", name, "path", q.URL.Path, "error", err)
			http.Error(w, fmt.Sprintf("%s does not answer. `strata status` says how it is.", name), http.StatusBadGateway)
		},
	}
}

// ServeHTTP implements http.Handler.
func (r *routes) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	host := strings.ToLower(q.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	known := false
	for _, t := range *r.table.Load() {
		if !t.serves(host) {
			continue
		}
		known = true
		if under(q.URL.Path, t.path) {
			t.to.ServeHTTP(w, q)
			return
		}
	}
	if known {
		http.Error(w, "No route of "+host+" has this path.", http.StatusNotFound)
		return
	}
	http.Error(w, "No route has the name "+strconv.Quote(host)+". `strata status` lists the routes.", http.StatusNotFound)
}

// serves reports whether a route is for a host. A name that begins with "*." is for all
// names below the rest.
func (t route) serves(host string) bool {
	below, wild := strings.CutPrefix(t.host, "*")
	return t.host == host || wild && strings.HasSuffix(host, below)
}

// under reports whether a path is a prefix of another, in whole segments.
func under(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
