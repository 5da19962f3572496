package input

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Post posts about n spans of s to url from four senders, as fast as they are taken. A refused request is sent again
// until ctx ends; that it was taken all the same is for the sink to notice.
func (s *Spans) Post(ctx context.Context, url string, n int) (refused int64, err error) {
	const senders = 4
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	defer client.CloseIdleConnections()
	bodies := make(chan []byte)
	var again atomic.Int64
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for body := range bodies {
				if err := post(ctx, client, url, body, &again); err != nil {
					cancel(err)
				}
			}
		})
	}
	for made := 0; made < n && ctx.Err() == nil; made += tracesPerBatch * spansPerTrace {
		select {
		case bodies <- s.Next():
		case <-ctx.Done():
		}
	}
	close(bodies)
	wg.Wait()
	return again.Load(), context.Cause(ctx)
}

func post(ctx context.Context, client *http.Client, url string, body []byte, again *atomic.Int64) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("cannot post spans: %w", err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			again.Add(1)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		default:
			return fmt.Errorf("spans were refused: %s: %.200s", resp.Status, answer)
		}
	}
}
