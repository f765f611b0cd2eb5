// Package journal keeps orders in an append-only file.
//
// Each change of an order is one line of JSON with the whole order; the last line
// of an id counts. A line that a crash cut short is dropped when the file is
// opened, so that a reader never sees half an order.
package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/order"
)

// Journal is an open file of orders. Its methods may be called from several
// goroutines, but only one process may write to a file.
type Journal struct {
	mu   sync.RWMutex
	file *os.File
	// size is where the last whole line ends and the next one starts.
	size   int64
	orders map[order.ID]order.Order
}

// Open opens the journal at path and makes it where there is none.
func Open(path string) (*Journal, error) {
	const op = "open journal"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fault.New(fault.Unavailable, op, "%w", err)
	}
	j := &Journal{file: file, orders: map[order.ID]order.Order{}}
	if err := j.replay(); err != nil {
		return nil, errors.Join(fault.Wrap(op, err), file.Close())
	}
	return j, nil
}

// replay reads all whole lines and cuts off what follows them.
func (j *Journal) replay() error {
	r := bufio.NewReader(j.file)
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return fault.New(fault.Unavailable, "read", "%w", err)
		}
		var o order.Order
		if err := json.Unmarshal(line, &o); err != nil {
			return fault.New(fault.Invalid, "read", "%s, line %d: %w", j.file.Name(), number, err)
		}
		j.orders[o.ID] = o
		j.size += int64(len(line))
	}
	if err := j.file.Truncate(j.size); err != nil {
		return fault.New(fault.Unavailable, "drop a half line", "%w", err)
	}
	return nil
}

// Put stores a new order. An id that is already there is [fault.Conflict].
func (j *Journal) Put(o order.Order) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, exists := j.orders[o.ID]; exists {
		return fault.New(fault.Conflict, "store order", "%s is already there", o.ID)
	}
	return j.write(o)
}

// Update replaces an order by what change makes of it. No other writer comes in
// between. When change fails nothing is written and its error is returned.
func (j *Journal) Update(id order.ID, change func(order.Order) (order.Order, error)) (order.Order, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	old, ok := j.orders[id]
	if !ok {
		return order.Order{}, fault.New(fault.NotFound, "update order", "no order %s", id)
	}
	changed, err := change(old)
	if err != nil {
		return old, err
	}
	return changed, j.write(changed)
}

// write appends an order. The caller holds the lock.
func (j *Journal) write(o order.Order) error {
	line, err := json.Marshal(o)
	if err != nil {
		return fault.New(fault.Internal, "encode order", "%w", err)
	}
	// The end of the line comes last, and the next write starts at size: what a
	// crash or a full disk leaves of a line never counts.
	line = append(line, '\n')
	if _, err := j.file.WriteAt(line, j.size); err != nil {
		return fault.New(fault.Unavailable, "write journal", "%w", err)
	}
	j.size += int64(len(line))
	j.orders[o.ID] = o
	return nil
}

// Get returns an order. An unknown id is [fault.NotFound].
func (j *Journal) Get(id order.ID) (order.Order, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	o, ok := j.orders[id]
	if !ok {
		return order.Order{}, fault.New(fault.NotFound, "find order", "no order %s", id)
	}
	return o, nil
}

// All returns the orders, the oldest first.
func (j *Journal) All() []order.Order {
	j.mu.RLock()
	defer j.mu.RUnlock()
	all := make([]order.Order, 0, len(j.orders))
	for _, o := range j.orders {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b order.Order) int {
		if c := a.PlacedAt.Compare(b.PlacedAt); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return all
}

// Close writes what the system still holds to the disk and closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.file.Sync(), j.file.Close())
}
