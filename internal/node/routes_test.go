package node

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// backend is a service of its own that says its name and what it was asked.
func backend(t *testing.T, services cache.Indexer, name string) gatewayv1.HTTPBackendRef {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.Host+r.URL.Path+" for "+r.Header.Get("X-Forwarded-Host"))
	}))
	t.Cleanup(s.Close)
	host, text, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := services.Add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.ServiceSpec{ClusterIP: host}}); err != nil {
		t.Fatal(err)
	}
	port := gatewayv1.PortNumber(n)
	return gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(name), Port: &port}}}
}

func rule(to gatewayv1.HTTPBackendRef, paths ...string) gatewayv1.HTTPRouteRule {
	r := gatewayv1.HTTPRouteRule{BackendRefs: []gatewayv1.HTTPBackendRef{to}}
	for _, p := range paths {
		r.Matches = append(r.Matches, gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Value: &p}})
	}
	return r
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	list := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	r := &routes{
		services: corelisters.NewServiceLister(services), log: slog.New(slog.DiscardHandler),
		list: cache.NewGenericLister(list, schema.GroupResource{Group: gatewayv1.GroupName, Resource: "httproutes"}),
	}
	missing := gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{Name: "missing"}}}
	hr := &gatewayv1.HTTPRoute{
		TypeMeta: metav1.TypeMeta{APIVersion: gatewayv1.GroupName + "/v1", Kind: "HTTPRoute"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r"},
		Spec: gatewayv1.HTTPRouteSpec{
			Hostnames: []gatewayv1.Hostname{"shop.localhost", "*.wild.localhost"},
			Rules:     []gatewayv1.HTTPRouteRule{rule(backend(t, services, "web")), rule(backend(t, services, "api"), "/api", "/v2/api"), rule(missing, "/missing")},
		},
	}
	u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(hr)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.Add(&unstructured.Unstructured{Object: u}); err != nil {
		t.Fatal(err)
	}
	r.rebuild()
	front := httptest.NewServer(r)
	defer front.Close()
	for _, tt := range []struct{ host, path, want string }{
		{"shop.localhost", "/", "web shop.localhost/ for shop.localhost"},
		{"SHOP.localhost:8080", "/apis", "web SHOP.localhost:8080/apis for"},
		{"shop.localhost", "/api", "api shop.localhost/api"},
		{"shop.localhost", "/api/x", "api shop.localhost/api/x"},
		{"shop.localhost", "/v2/api/", "api shop.localhost/v2/api/"},
		{"shop.localhost", "/missing", "web "},
		{"a.wild.localhost", "/", "web a.wild.localhost/"},
		{"wild.localhost", "/", `No route has the name "wild.localhost"`},
		{"other.localhost", "/", `No route has the name "other.localhost"`},
	} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = tt.host
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || !strings.HasPrefix(string(b), tt.want) {
			t.Errorf("%s%s: %q %v, want %q", tt.host, tt.path, b, err, tt.want)
		}
	}
}
