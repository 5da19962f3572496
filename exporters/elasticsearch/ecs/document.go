package ecs

import "github.com/braidhq/braid/telemetry"

// A Form is how much of a record a document exposes to the mapping.
type Form uint8

const (
	// Full has attributes and labels as objects under flattened fields.
	Full Form = iota
	// Plain has them as one string that is not indexed: what a document becomes after Elasticsearch has refused it.
	Plain
)

// A Setting is what the documents of one batch have in common. Its memory is used again by the next Set.
type Setting struct {
	received int64
	isFile   bool
	ingested []byte // received as a JSON string
	tail     []byte // the members that end every document, from the comma to the closing brace
}

// Set prepares s for documents of b in form f. now stands for a receive time that is not known.
func (s *Setting) Set(b *telemetry.Batch, f Form, now int64) {
	s.received = b.ReceivedUnixNano
	if s.received == 0 {
		s.received = now
	}
	s.isFile = !b.FileID.IsZero()
	s.ingested = appendTime(s.ingested[:0], s.received)
	o := open(append(s.tail[:0], ','), "")
	o.dst = o.dst[:1] // the members go on with the document's
	appendIdentity(&o, b.Resource)
	o.textIn("organization", "id", b.Tenant)
	appendDescription(&o, b, f)
	if o.empty {
		o.dst = o.dst[:0]
	}
	s.tail = append(o.dst, '}')
}

// appendIdentity appends the join of all signals as the Elastic Common Schema names it.
func appendIdentity(o *object, r *telemetry.Resource) {
	if r == nil {
		return
	}
	service := o.nested("service")
	service.text("name", r.Service)
	service.text("namespace", r.ServiceNamespace)
	service.text("version", r.ServiceVersion)
	service.textIn("node", "name", r.ServiceInstance)
	o.end(service)

	kubernetes := o.nested("kubernetes")
	kubernetes.text("namespace", r.Namespace)
	kubernetes.textIn("node", "name", r.Node)
	pod := kubernetes.nested("pod")
	pod.text("name", r.Pod)
	pod.text("uid", r.PodUID)
	kubernetes.end(pod)
	container := kubernetes.nested("container")
	container.text("name", r.Container)
	if r.Restart >= 0 && r.Container != "" {
		container.int("restart_count", int64(r.Restart))
	}
	kubernetes.end(container)
	o.end(kubernetes)

	o.textIn("container", "id", r.ContainerID)
	if r.Cluster != "" {
		n := o.nested("orchestrator")
		n.textIn("cluster", "name", r.Cluster)
		o.end(n)
	}
}

// appendDescription appends what senders may fill as they like: labels and scope. The scope of file lines is our own
// and says nothing that the document does not.
func appendDescription(o *object, b *telemetry.Batch, f Form) {
	if f == Full {
		if b.Resource != nil {
			o.attrs("labels", b.Resource.Attrs)
		}
		if b.FileID.IsZero() {
			scope := o.nested("scope")
			scope.text("name", b.Scope.Name)
			scope.text("version", b.Scope.Version)
			scope.attrs("attributes", b.Scope.Attrs)
			o.end(scope)
		}
		return
	}
	refused := o.nested("refused")
	if b.Resource != nil {
		refused.asText("labels", b.Resource.Attrs)
	}
	refused.asText("scope_attributes", b.Scope.Attrs)
	o.end(refused)
}

// asText appends attrs as a string that holds their JSON.
func (o *object) asText(name string, attrs []telemetry.Attr) {
	if len(attrs) > 0 {
		o.text(name, string(appendAttrs(nil, attrs)))
	}
}

func firstTime(times ...int64) int64 {
	for _, t := range times {
		if t != 0 {
			return t
		}
	}
	return 0
}
