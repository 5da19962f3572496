package shop

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// The cards that payment knows; every other one is good.
const (
	CardGood      = "4111"
	CardDeclined  = "4000" // 402
	CardSlow      = "4222" // good, after most of a second
	CardNoReceipt = "4333" // good; that the receipt was not mailed stands in an error line alone
	CardBroken    = "4666" // 500, with a stack trace on stderr
)

// payment charges cards. It writes logfmt, some plain lines and its stack traces on stderr.
func payment(s *service) {
	s.handle("POST /charges", func(w http.ResponseWriter, r *http.Request) error {
		card, cents := r.URL.Query().Get("card"), r.URL.Query().Get("cents")
		took := 3 * time.Millisecond
		if card == CardSlow {
			took = 700 * time.Millisecond
			s.err.plain("WARN gateway: no answer yet, waiting")
		}
		if err := s.work(r.Context(), "ask the bank", took); err != nil {
			return err
		}
		switch card {
		case CardDeclined:
			s.metrics.outcomes.WithLabelValues("charge", "declined").Inc()
			return &failure{http.StatusPaymentRequired, "card declined"}
		case CardBroken:
			s.metrics.outcomes.WithLabelValues("charge", "failed").Inc()
			return s.broken(cents)
		case CardNoReceipt:
			s.log.ErrorContext(r.Context(), "cannot mail the receipt", "card", "**** "+card)
		}
		s.metrics.outcomes.WithLabelValues("charge", "charged").Inc()
		s.log.InfoContext(r.Context(), "card charged", "cents", cents, "card", "**** "+card)
		return answer(w, map[string]string{"charged": cents})
	})
}

// broken is a bug that a recover higher up turned into an error, and the trace it left on stderr.
func (s *service) broken(cents string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.err.plain(fmt.Sprintf("panic: %v [recovered]\n\n%s", v, debug.Stack()))
			err = fmt.Errorf("the gateway broke: %v", v)
		}
	}()
	ledgers := map[string][]string{}
	return fmt.Errorf("charged %s on %s", cents, ledgers["today"][0])
}
