package traces

import "github.com/braidhq/braid/telemetry"

// A peer is what a caller's attributes say of the other side, by OpenTelemetry's semantic conventions; names that have
// been replaced there are still read.
type peer struct {
	service  string // peer.service
	address  string // server.address, net.peer.name
	network  string // network.peer.address, net.sock.peer.addr
	database string // db.namespace, db.name
	system   string // db.system.name, db.system
}

// peerAttributes are those that newPeer reads.
var peerAttributes = []string{
	"peer.service", "server.address", "net.peer.name", "network.peer.address", "net.sock.peer.addr",
	"db.namespace", "db.name", "db.system.name", "db.system",
}

func newPeer(attrs []telemetry.Attr) (p peer) {
	for i := range attrs {
		v := &attrs[i].Value
		if v.Kind != telemetry.StringValue || v.Str == "" {
			continue
		}
		switch attrs[i].Key {
		case "peer.service":
			p.service = v.Str
		case "server.address", "net.peer.name":
			p.address = v.Str
		case "network.peer.address", "net.sock.peer.addr":
			p.network = v.Str
		case "db.namespace", "db.name":
			p.database = v.Str
		case "db.system.name", "db.system":
			p.system = v.Str
		}
	}
	return p
}

// isDatabase reports whether the call goes to a database. db.namespace is not asked: it is also an attribute of others.
func (p *peer) isDatabase() bool { return p.system != "" }

// name returns what to call the other side, "" if nothing is known of it.
func (p *peer) name() string {
	for _, name := range [...]string{p.service, p.address, p.network} {
		if name != "" {
			return name
		}
	}
	if !p.isDatabase() {
		return ""
	}
	if p.database != "" {
		return p.database
	}
	return p.system
}
