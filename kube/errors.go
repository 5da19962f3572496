package kube

import "fmt"

// An Error is an answer of the API server, or of the kubelet through it, as kubectl prints it.
type Error struct {
	Reason  string // of metav1.Status: BadRequest, NotFound …
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("Error from server (%s): %s", e.Reason, e.Message) }

// BadRequest is what the API server answers for a container that has no log to show.
func BadRequest(format string, args ...any) *Error {
	return &Error{Reason: "BadRequest", Message: fmt.Sprintf(format, args...)}
}

// NotFound is kubectl logs' own wrapping of a 404 (measured with 1.32), not the server's text. resource is the API's
// plural, with its group: pods, deployments.apps.
func NotFound(resource, name, namespace string) error {
	return fmt.Errorf("error from server (NotFound): %s %q not found in namespace %q", resource, name, namespace)
}
