package pipeline

import "time"

// repeatWindow is how long, on the queue's receive clock, a frame's ID is remembered at least.
const repeatWindow = 10 * time.Minute

const idsAge = int64(repeatWindow / 2)

// ids remembers frames by ID, in ages of five minutes; three of them cover the window. (A time with every ID was
// rejected: 24 bytes more for each of millions. So were 64-bit IDs: a collision would be a silent loss.)
type ids struct {
	ages map[int64]map[[16]byte]struct{}
	now  int64
}

func newIDs() *ids { return &ids{ages: map[int64]map[[16]byte]struct{}{}} }

// advance moves the clock and forgets what is too old.
func (s *ids) advance(stamp int64) {
	now := stamp / idsAge
	if now == s.now {
		return
	}
	s.now = now
	for age := range s.ages {
		if age < now-2 {
			delete(s.ages, age)
		}
	}
}

func (s *ids) has(id [16]byte) bool {
	for _, age := range s.ages {
		if _, ok := age[id]; ok {
			return true
		}
	}
	return false
}

func (s *ids) add(id [16]byte, stamp int64) {
	age := stamp / idsAge
	if age < s.now-2 {
		return
	}
	if s.ages[age] == nil {
		s.ages[age] = map[[16]byte]struct{}{}
	}
	s.ages[age][id] = struct{}{}
}

// remove takes back an ID whose frame was not stored after all.
func (s *ids) remove(id [16]byte) {
	for _, age := range s.ages {
		delete(age, id)
	}
}
