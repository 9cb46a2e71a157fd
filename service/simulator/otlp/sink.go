// Package otlp is a stand-in for an OpenTelemetry collector as an exporter sees
// it: it takes traces, metrics and logs over gRPC, keeps nothing, and counts what
// it got, so that telemetry that was dropped on the way can be told.
//
// It counts on the wire format: to decode every message in full would take more
// time than the program under measurement takes to send it.
//
// Source: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.11.0/opentelemetry/proto
package otlp

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Counts is what a [Sink] got.
type Counts struct {
	Spans, ServerSpans int64 // a server span is one request
	Records            int64
	Points             int64            // of metrics
	Events             map[string]int64 // records by the name of their event
}

// Sink takes OTLP over gRPC.
type Sink struct {
	listener net.Listener
	server   *grpc.Server
	done     sync.WaitGroup

	mu     sync.Mutex
	counts Counts
}

// Listen opens a sink on a free port of this host.
func Listen(ctx context.Context) (*Sink, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	s := &Sink{listener: listener, counts: Counts{Events: map[string]int64{}}}
	s.server = grpc.NewServer(
		grpc.ForceServerCodec(raw{}),
		grpc.UnknownServiceHandler(s.take),
		grpc.MaxRecvMsgSize(64<<20),
	)
	s.done.Go(func() { _ = s.server.Serve(listener) }) // it ends with Close
	return s, nil
}

// Endpoint is for OTEL_EXPORTER_OTLP_ENDPOINT, with the protocol grpc.
func (s *Sink) Endpoint() string { return "http://" + s.listener.Addr().String() }

// Counts is what came so far.
func (s *Sink) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Events = maps.Clone(c.Events)
	return c
}

// Close ends the sink.
func (s *Sink) Close() {
	s.server.Stop()
	s.done.Wait()
}

// take handles every method: an empty answer is success in all three services.
func (s *Sink) take(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	var got Counts
	var err error
	switch service, _, _ := strings.Cut(strings.TrimPrefix(method, "/opentelemetry.proto.collector."), "."); service {
	case "trace":
		got, err = countSpans(request)
	case "logs":
		got, err = countRecords(request)
	case "metrics":
		got, err = countPoints(request)
	default:
		return status.Error(codes.Unimplemented, method)
	}
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	s.mu.Lock()
	s.counts.Spans += got.Spans
	s.counts.ServerSpans += got.ServerSpans
	s.counts.Records += got.Records
	s.counts.Points += got.Points
	for name, n := range got.Events {
		s.counts.Events[name] += n
	}
	s.mu.Unlock()
	return stream.SendMsg(new([]byte))
}

// raw hands messages through as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	message, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("otlp: cannot send %T", v)
	}
	return *message, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("otlp: cannot receive into %T", v)
	}
	*message = data
	return nil
}
