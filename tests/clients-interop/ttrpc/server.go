// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const service = "gantry.test.Echo"

// text makes a method of a function from string to string.
func text(body func(ctx context.Context, in string) (string, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		var in wrapperspb.StringValue
		if err := unmarshal(&in); err != nil {
			return nil, err
		}
		out, err := body(ctx, in.Value)
		if err != nil {
			return nil, err
		}
		return wrapperspb.String(out), nil
	}
}

func fail(_ context.Context, in string) (string, error) {
	number, message, _ := strings.Cut(in, " ")
	code, err := strconv.Atoi(number)
	if err != nil {
		return "", err
	}
	return "", status.Error(codes.Code(code), message)
}

func left(ctx context.Context, _ string) (string, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return "none", nil
	}
	return strconv.FormatInt(time.Until(deadline).Milliseconds(), 10), nil
}

func namespace(ctx context.Context, _ string) (string, error) {
	value, ok := ttrpc.GetMetadataValue(ctx, "containerd-namespace-ttrpc")
	if !ok {
		return "", status.Error(codes.FailedPrecondition, "namespace is required")
	}
	return value, nil
}

func methods() map[string]ttrpc.Method {
	return map[string]ttrpc.Method{
		"Echo":      text(func(_ context.Context, in string) (string, error) { return in, nil }),
		"Fail":      text(fail),
		"Left":      text(left),
		"Namespace": text(namespace),
		"Big": text(func(_ context.Context, in string) (string, error) {
			size, err := strconv.Atoi(in)
			return strings.Repeat("b", size), err
		}),
		"Sleep": text(func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}),
		"Nothing": func(context.Context, func(interface{}) error) (interface{}, error) {
			return &emptypb.Empty{}, nil
		},
	}
}

// upper answers each message in capitals.
func upper(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	for {
		var in wrapperspb.StringValue
		if err := stream.RecvMsg(&in); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if err := stream.SendMsg(wrapperspb.String(strings.ToUpper(in.Value))); err != nil {
			return nil, err
		}
	}
}

// count sends as many messages as it is asked for, empty ones among them.
func count(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	var in wrapperspb.StringValue
	if err := stream.RecvMsg(&in); err != nil {
		return nil, err
	}
	if in.Value == "fail" {
		return nil, status.Error(codes.Aborted, "asked to")
	}
	number, _ := strconv.Atoi(in.Value)
	for i := 0; i < number; i++ {
		value := ""
		if i%2 == 1 {
			value = strconv.Itoa(i)
		}
		if err := stream.SendMsg(wrapperspb.String(value)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// join gives all messages as one.
func join(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	all := ""
	for {
		var in wrapperspb.StringValue
		if err := stream.RecvMsg(&in); errors.Is(err, io.EOF) {
			return wrapperspb.String(all), nil
		} else if err != nil {
			return nil, err
		}
		all += in.Value + ";"
	}
}

func serve(socket string) error {
	server, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()))
	if err != nil {
		return err
	}
	server.RegisterService(service, &ttrpc.ServiceDesc{
		Methods: methods(),
		Streams: map[string]ttrpc.Stream{
			"Upper": {Handler: upper, StreamingClient: true, StreamingServer: true},
			"Count": {Handler: count, StreamingServer: true},
			"Join":  {Handler: join, StreamingClient: true},
		},
	})
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return server.Serve(context.Background(), listener)
}
