package gateway

import (
	"io"
	"net/http"
	"strconv"
)

// statusClientGone is for the log and metrics: nobody gets it.
const statusClientGone = 499

// answer answers a request in the gateway's own name, unless an answer has begun. The
// reason is for the log; the client gets the text of the status.
func (g *Gateway) answer(x *exchange, code int, reason string) {
	if x.code != 0 || x.out.code != 0 {
		return
	}
	x.code, x.reason = code, reason
	h := x.out.Header()
	if x.route != nil && x.route.filters.cors != nil {
		x.route.filters.cors.answer(h, x.in, false) // else scripts could not read it
	}
	if x.grpc {
		// A response without messages has its trailers in place of its headers
		// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", strconv.Itoa(grpcStatus(code)))
		h.Set("Grpc-Message", http.StatusText(code))
		x.out.WriteHeader(http.StatusOK)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	text := http.StatusText(code) + "\n"
	h.Set("Content-Length", strconv.Itoa(len(text)))
	x.out.WriteHeader(code)
	if x.in.Method != http.MethodHead {
		_, _ = io.WriteString(x.out, text) // a client that has gone needs none
	}
}

// grpcStatus returns the status of gRPC for one of HTTP, after
// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md, save that the
// gateway knows of 413, 429 and 504 why they are.
func grpcStatus(code int) int {
	switch code {
	case http.StatusBadRequest:
		return 13 // INTERNAL
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		return 7 // PERMISSION_DENIED
	case http.StatusNotFound:
		return 12 // UNIMPLEMENTED
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusGatewayTimeout:
		return 4 // DEADLINE_EXCEEDED
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return 14 // UNAVAILABLE
	}
	return 2 // UNKNOWN
}
