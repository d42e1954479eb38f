package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpccreds "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/stratahq/strata/internal/proxy/config"
)

// grpcBackend serves gRPC's own test service.
func grpcBackend(t *testing.T) config.Backend {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	s := grpc.NewServer()
	testpb.RegisterTestServiceServer(s, interop.NewTestServer())
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return config.Backend{Name: "apps/api:80", Protocol: "h2c", Endpoints: []config.Endpoint{endpoint(l.Addr())}}
}

// dialGRPC connects to a port of loopback.
func dialGRPC(t *testing.T, port int, creds grpccreds.TransportCredentials, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	c := must(grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port), append(opts, grpc.WithTransportCredentials(creds))...))
	t.Cleanup(func() { c.Close() })
	return c
}

// TestGRPC runs gRPC's own tests of interoperability through a gateway, without and with
// TLS. One that fails ends the process with a line that says which.
func TestGRPC(t *testing.T) {
	b := grpcBackend(t)
	service := config.Route{Name: "apps/api", GRPC: true, Targets: to(b), Match: config.Match{Path: &config.PathMatch{Kind: config.MatchRegexp, Value: `/grpc\.testing\.(Test|Unimplemented)Service/[^/]+`}}}
	plain, secret := freePort(t), freePort(t)
	cert := signed(t, "api.example")
	c := simple(plain, []config.Backend{b}, service)
	c.Ports = append(c.Ports, secured(secret, b, config.Listener{Certificates: []config.Certificate{cert}, Hosts: []config.Host{{Routes: []config.Route{service}}}}).Ports...)
	newGateway(t, nil).apply(c)
	for name, cc := range map[string]*grpc.ClientConn{
		"plain": dialGRPC(t, plain, insecure.NewCredentials()),
		"TLS":   dialGRPC(t, secret, grpccreds.NewClientTLSFromCert(pool(cert), "api.example")),
	} {
		client := testpb.NewTestServiceClient(cc)
		for what, f := range map[string]func(context.Context, testpb.TestServiceClient, ...grpc.CallOption){
			"empty_unary": interop.DoEmptyUnaryCall, "large_unary": interop.DoLargeUnaryCall, "client_streaming": interop.DoClientStreaming,
			"server_streaming": interop.DoServerStreaming, "ping_pong": interop.DoPingPong, "empty_stream": interop.DoEmptyStream,
			"timeout_on_sleeping_server": interop.DoTimeoutOnSleepingServer, "cancel_after_begin": interop.DoCancelAfterBegin,
			"cancel_after_first_response": interop.DoCancelAfterFirstResponse, "custom_metadata": interop.DoCustomMetadata,
			"status_code_and_message": interop.DoStatusCodeAndMessage, "special_status_message": interop.DoSpecialStatusMessage,
		} {
			t.Run(name+" "+what, func(t *testing.T) { f(t.Context(), client) })
		}
		t.Run(name+" unimplemented_method", func(t *testing.T) { interop.DoUnimplementedMethod(t.Context(), cc) })
	}
}

// TestGRPCAnswers has the gateway's own answers to clients of gRPC.
func TestGRPCAnswers(t *testing.T) {
	b := grpcBackend(t)
	none := config.Backend{Name: "apps/none:80"}
	gone := config.Backend{Name: "apps/gone:80", Protocol: "h2c", Endpoints: []config.Endpoint{dead(t)}}
	port := freePort(t)
	host := func(name string, edit func(*config.Route)) config.Host {
		r := config.Route{Name: "apps/" + name, GRPC: true, Match: prefix("/grpc.testing.TestService"), Targets: to(b)}
		edit(&r)
		return config.Host{Hostname: name + ".example", Routes: []config.Route{r}}
	}
	newGateway(t, nil).apply(config.Gateway{Backends: []config.Backend{b, none, gone}, Ports: []config.Port{{Listen: port, Public: 80, Listeners: []config.Listener{{Name: "http", Hosts: []config.Host{
		host("good", func(*config.Route) {}),
		host("none", func(r *config.Route) { r.Targets = to(none) }),
		host("gone", func(r *config.Route) { r.Targets = to(gone) }),
		host("invalid", func(r *config.Route) { r.Targets = []config.Target{{Weight: 1}} }),
		host("limited", func(r *config.Route) { r.Limits = &config.Limits{RequestsPerSecond: 1e-6, Burst: 1} }),
		host("small", func(r *config.Route) { r.Limits = &config.Limits{BodyBytes: 10} }),
		host("slow", func(r *config.Route) { r.BackendTimeout = second / 10 }),
	}}}}}})
	for name, want := range map[string]codes.Code{
		"good": codes.OK, "none": codes.Unavailable, "gone": codes.Unavailable, "invalid": codes.Unknown, "unknown": codes.Unimplemented,
		"limited": codes.ResourceExhausted, "small": codes.ResourceExhausted, "slow": codes.DeadlineExceeded,
	} {
		client := testpb.NewTestServiceClient(dialGRPC(t, port, insecure.NewCredentials(), grpc.WithAuthority(name+".example")))
		var err error
		switch name {
		case "slow": // the server answers when something has been sent
			var stream testpb.TestService_FullDuplexCallClient
			if stream, err = client.FullDuplexCall(t.Context()); err == nil {
				_, err = stream.Recv()
			}
		case "limited":
			if _, err = client.EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
				t.Error(err)
			}
			_, err = client.EmptyCall(t.Context(), &testpb.Empty{})
		default:
			_, err = client.UnaryCall(t.Context(), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}})
		}
		if got := status.Code(err); got != want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, want)
		}
	}
	// By HTTP/1.1, with curl say, the answer can be read as well.
	got := do(t, client, http.MethodPost, url(port, "/grpc.testing.TestService/EmptyCall"), "", func(r *http.Request) { r.Host = "none.example" })
	if got.headers.Get("Grpc-Status") != "14" || got.headers.Get("Grpc-Message") != "Service Unavailable" {
		t.Errorf("got %+v", got)
	}
}
