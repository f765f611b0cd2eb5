package fulfil

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/order"
)

// depot is a carrier that is closed for the first calls of each order.
type depot struct {
	closedFor int
	refuses   order.ID

	mu    sync.Mutex
	calls map[order.ID]int
}

func (d *depot) Ship(_ context.Context, o order.Order) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls == nil {
		d.calls = map[order.ID]int{}
	}
	d.calls[o.ID]++
	switch {
	case o.ID == d.refuses:
		return fault.New(fault.Invalid, "take parcel", "too large")
	case d.calls[o.ID] <= d.closedFor:
		return fault.New(fault.Unavailable, "take parcel", "the depot is closed")
	default:
		return nil
	}
}

func orders(n int) []order.Order {
	list := make([]order.Order, n)
	for i := range list {
		list[i].ID = uuid.New()
	}
	return list
}

func dispatcher(c Carrier) *Dispatcher {
	return &Dispatcher{Carrier: c, Log: slog.New(slog.DiscardHandler), Workers: 4, Attempts: 4, Pause: time.Millisecond}
}

func TestTriesAgain(t *testing.T) {
	list := orders(50)
	for i, r := range dispatcher(&depot{closedFor: 3}).Run(t.Context(), list) {
		if r.Err != nil || r.Attempts != 4 || r.ID != list[i].ID {
			t.Errorf("order %d: %+v", i, r)
		}
	}
}

func TestGivesUp(t *testing.T) {
	r := dispatcher(&depot{closedFor: 4}).Run(t.Context(), orders(1))[0]
	if fault.KindOf(r.Err) != fault.Unavailable || r.Attempts != 4 {
		t.Errorf("%+v", r)
	}
}

func TestRefusalIsFinal(t *testing.T) {
	list := orders(3)
	results := dispatcher(&depot{refuses: list[1].ID}).Run(t.Context(), list)
	if fault.KindOf(results[1].Err) != fault.Invalid || results[1].Attempts != 1 {
		t.Errorf("%+v", results[1])
	}
	if results[0].Err != nil || results[2].Err != nil {
		t.Errorf("the others suffer: %+v", results)
	}
}

// TestPausesDouble waits for real: 150, 300 and 600 milliseconds.
func TestPausesDouble(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for about a second")
	}
	t.Parallel()
	d := dispatcher(&depot{closedFor: 3})
	d.Pause = 150 * time.Millisecond
	start := time.Now()
	r := d.Run(t.Context(), orders(1))[0]
	if elapsed := time.Since(start); r.Err != nil || elapsed < 1050*time.Millisecond {
		t.Errorf("%+v after %v", r, elapsed)
	}
}

func TestCancelEndsAPause(t *testing.T) {
	t.Parallel()
	d := dispatcher(&depot{closedFor: 3})
	d.Pause = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := d.Run(ctx, orders(1))[0]
	if !errors.Is(r.Err, context.DeadlineExceeded) || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}
