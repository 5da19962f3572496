package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// An apiError is an answer in Prometheus' format.
type apiError struct {
	status int
	typ    string // bad_data, execution, canceled, timeout, internal, unavailable, not_found
	text   string
}

func (e *apiError) Error() string { return e.text }

func badData(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "bad_data", fmt.Sprintf(format, args...)}
}

// asAPIError returns how err is answered; one of no known kind is internal.
func asAPIError(err error) *apiError {
	var e *apiError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return &apiError{http.StatusServiceUnavailable, "canceled", err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &apiError{http.StatusServiceUnavailable, "timeout", err.Error()}
	}
	return &apiError{http.StatusInternalServerError, "internal", err.Error()}
}

type errorBody struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
}

// writeError answers with err as Prometheus does.
func writeError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	if err := writeJSON(w, e.status, errorBody{"error", e.typ, e.text}); err != nil {
		panic("BUG: an error body does not marshal: " + err.Error())
	}
}
