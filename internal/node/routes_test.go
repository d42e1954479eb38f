package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// gateway is a gateway's Service at an address of loopback, which says its name and what it
// was asked.
func gateway(t *testing.T, services cache.Indexer, name, address string) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.Host+r.URL.Path+" for "+r.Header.Get("X-Forwarded-For"))
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(l.Addr())
	}
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name + "-strata", Labels: map[string]string{gatewayLabel: name}},
		Spec:       corev1.ServiceSpec{ClusterIP: at.IP.String(), Ports: []corev1.ServicePort{{Port: int32(at.Port)}}},
	}
	if err := services.Add(svc); err != nil {
		t.Fatal(err)
	}
	return at.Port
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	list := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	port := gateway(t, services, "public", "127.0.0.1:0")
	gateway(t, services, "internal", net.JoinHostPort("127.0.0.2", strconv.Itoa(port)))
	r := &routes{
		services: corelisters.NewServiceLister(services), log: slog.New(slog.DiscardHandler), port: port,
		list: cache.NewGenericLister(list, schema.GroupResource{Group: gatewayv1.GroupName, Resource: "httproutes"}),
	}
	edge := gatewayv1.Namespace("edge")
	for parent, hosts := range map[gatewayv1.ObjectName][]gatewayv1.Hostname{
		"public": {"shop.localhost", "*.wild.localhost"}, "internal": {"office.wild.localhost"}, "nobody": {"lost.localhost"},
	} {
		hr := &gatewayv1.HTTPRoute{
			TypeMeta: metav1.TypeMeta{APIVersion: gatewayv1.GroupName + "/v1", Kind: "HTTPRoute"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: string(parent)},
			Spec: gatewayv1.HTTPRouteSpec{
				CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Namespace: &edge, Name: parent}}}, Hostnames: hosts,
			},
		}
		u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(hr)
		if err != nil {
			t.Fatal(err)
		}
		if err := list.Add(&unstructured.Unstructured{Object: u}); err != nil {
			t.Fatal(err)
		}
	}
	r.rebuild()
	front := httptest.NewServer(r)
	defer front.Close()
	for _, tt := range []struct{ host, path, want string }{
		{"shop.localhost", "/", "public shop.localhost/ for"},
		{"SHOP.localhost:8080", "/apis/x", "public SHOP.localhost:8080/apis/x for"},
		{"a.wild.localhost", "/", "public a.wild.localhost/"},
		{"office.wild.localhost", "/", "internal office.wild.localhost/"},
		{"wild.localhost", "/", `No route has the name "wild.localhost"`},
		{"other.localhost", "/", `No route has the name "other.localhost"`},
		{"lost.localhost", "/", `No route has the name "lost.localhost"`},
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

func TestDialsAgain(t *testing.T) {
	late, refused := &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", unix.ECONNREFUSED)}
	other := &net.OpError{Op: "dial", Err: errors.New("no such host")}
	for name, c := range map[string]struct {
		answers []error
		want    error
		dialed  int
	}{
		"at once":             {[]error{nil}, nil, 1},
		"the second time":     {[]error{late, nil}, nil, 2},
		"never":               {[]error{late, late, late, nil}, late, dials},
		"one has just ended":  {[]error{refused, nil}, nil, 2},
		"nobody listens":      {[]error{refused, refused, refused, nil}, refused, dials},
		"refused after a try": {[]error{late, refused, nil}, nil, 3},
		"something else":      {[]error{other, nil}, other, 1},
	} {
		dialed := 0
		_, err := again(func(context.Context, string, string) (net.Conn, error) {
			dialed++
			return nil, c.answers[dialed-1]
		})(t.Context(), "tcp", "127.0.0.1:1")
		if dialed != c.dialed || !errors.Is(err, c.want) {
			t.Errorf("%s: dialed %d times, %v", name, dialed, err)
		}
	}
}
