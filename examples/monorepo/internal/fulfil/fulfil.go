// Package fulfil hands paid orders to a carrier.
//
// Carriers fail now and then, so each order is tried several times, with pauses
// that double. What a carrier refuses for good is not tried again.
package fulfil

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/order"
)

// Carrier takes parcels.
type Carrier interface {
	// Ship takes the parcel of an order. An error of kind [fault.Unavailable]
	// means that trying again may help. Taking the same order twice is harmless.
	Ship(ctx context.Context, o order.Order) error
}

// Dispatcher ships orders by several workers.
type Dispatcher struct {
	Carrier Carrier
	Log     *slog.Logger
	// Workers is how many orders are with the carrier at once, at least one.
	Workers int
	// Attempts is how often an order is tried, at least once.
	Attempts int
	// Pause is the time before the second attempt. It doubles each time.
	Pause time.Duration
}

// Result is what became of one order: shipped, or failed with Err.
type Result struct {
	ID       order.ID
	Attempts int
	Err      error
}

// Run ships the orders and returns their results in the same order. It returns
// early when ctx ends; orders without a final answer then carry its error.
func (d *Dispatcher) Run(ctx context.Context, orders []order.Order) []Result {
	results := make([]Result, len(orders))
	indices := make(chan int)
	var wg sync.WaitGroup
	for range max(1, d.Workers) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range indices {
				results[i] = d.ship(ctx, orders[i])
			}
		}()
	}
	for i := range orders {
		indices <- i
	}
	close(indices)
	wg.Wait()
	return results
}

func (d *Dispatcher) ship(ctx context.Context, o order.Order) Result {
	pause := d.Pause
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return Result{o.ID, attempt - 1, fault.New(fault.Unavailable, "ship order", "%w", err)}
		}
		err := d.Carrier.Ship(ctx, o)
		if err == nil {
			d.Log.Info("shipped", "order", o.ID, "attempts", attempt)
			return Result{o.ID, attempt, nil}
		}
		if fault.KindOf(err) != fault.Unavailable || attempt >= d.Attempts {
			d.Log.Error("not shipped", "order", o.ID, "attempts", attempt, "err", err)
			return Result{o.ID, attempt, fault.Wrap("ship order", err)}
		}
		d.Log.Warn("carrier unavailable", "order", o.ID, "attempt", attempt, "pause", pause, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}
