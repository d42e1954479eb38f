package sidecar_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/stratahq/strata/internal/proxy/config"
)

// TestGRPC runs gRPC's own tests of interoperability through two sidecars. One that fails
// ends the process with a line that says which.
func TestGRPC(t *testing.T) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	s := grpc.NewServer()
	testpb.RegisterTestServiceServer(s, interop.NewTestServer())
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l)
	t.Cleanup(s.Stop)
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: l.Addr().(*net.TCPAddr).Port})
	m.point("api.apps.svc", api)
	out, gone, slow := call("api", config.ProtocolHTTP), call("gone", config.ProtocolHTTP), call("slow", config.ProtocolHTTP)
	slow.Host, slow.Identity, slow.Timeout = out.Host, out.Identity, config.Duration(50*time.Millisecond)
	web := m.start(spec{name: "web", outbound: []config.Outbound{out, gone, slow}})
	conn := func(name string) *grpc.ClientConn {
		c := must(grpc.NewClient(web.calls[name], grpc.WithTransportCredentials(insecure.NewCredentials())))
		t.Cleanup(func() { c.Close() })
		return c
	}
	cc := conn("api")
	client := testpb.NewTestServiceClient(cc)
	for name, f := range map[string]func(context.Context, testpb.TestServiceClient, ...grpc.CallOption){
		"empty_unary": interop.DoEmptyUnaryCall, "large_unary": interop.DoLargeUnaryCall, "client_streaming": interop.DoClientStreaming,
		"server_streaming": interop.DoServerStreaming, "ping_pong": interop.DoPingPong, "empty_stream": interop.DoEmptyStream,
		"timeout_on_sleeping_server": interop.DoTimeoutOnSleepingServer, "cancel_after_begin": interop.DoCancelAfterBegin,
		"cancel_after_first_response": interop.DoCancelAfterFirstResponse, "custom_metadata": interop.DoCustomMetadata,
		"status_code_and_message": interop.DoStatusCodeAndMessage, "special_status_message": interop.DoSpecialStatusMessage,
	} {
		t.Run(name, func(t *testing.T) { f(t.Context(), client) })
	}
	t.Run("unimplemented_method", func(t *testing.T) { interop.DoUnimplementedMethod(t.Context(), cc) })
	t.Run("unimplemented_service", func(t *testing.T) {
		interop.DoUnimplementedService(t.Context(), testpb.NewUnimplementedServiceClient(cc))
	})
	t.Run("health", func(t *testing.T) {
		resp, err := grpc_health_v1.NewHealthClient(cc).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil || resp.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%v, %v", resp, err)
		}
	})
	t.Run("nobody is there", func(t *testing.T) {
		_, err := testpb.NewTestServiceClient(conn("gone")).EmptyCall(t.Context(), &testpb.Empty{})
		if s := status.Convert(err); s.Code() != codes.Unavailable || s.Message() != "gone cannot be reached: it has no ready pods" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the call's time", func(t *testing.T) {
		stream, err := testpb.NewTestServiceClient(conn("slow")).FullDuplexCall(t.Context())
		check(t, err)
		if _, err := stream.Recv(); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	})
}
