package otlp

import (
	"net/http"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// rpcStatus is err as gRPC tells it. Clients try Unavailable again, and ResourceExhausted if it carries a RetryInfo.
func rpcStatus(httpStatus, retrySeconds int, err error) *status.Status {
	s := status.New(rpcCode(httpStatus), strings.ToValidUTF8(err.Error(), "\ufffd"))
	if retrySeconds == 0 {
		return s
	}
	delay := durationpb.New(time.Duration(retrySeconds) * time.Second)
	detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: delay})
	if err != nil {
		panic("BUG: cannot attach a RetryInfo: " + err.Error())
	}
	return detailed
}

func rpcCode(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return codes.Unimplemented
	}
	return codes.InvalidArgument
}

// statusBody is err as OTLP/HTTP tells it.
func statusBody(json bool, httpStatus, retrySeconds int, err error) (contentType string, body []byte) {
	message := rpcStatus(httpStatus, retrySeconds, err).Proto()
	contentType, marshal := protobufType, proto.Marshal
	if json {
		contentType, marshal = jsonType, protojson.Marshal
	}
	body, err = marshal(message)
	if err != nil {
		panic("BUG: cannot marshal a google.rpc.Status: " + err.Error())
	}
	return contentType, body
}
