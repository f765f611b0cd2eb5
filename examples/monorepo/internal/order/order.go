// Package order is the life of an order, from placed to delivered.
package order

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/pricing"
)

// ID identifies an order. It is a version 7 UUID: ids made later sort later.
type ID = uuid.UUID

// ParseID reads an id. A malformed one is [fault.Invalid].
func ParseID(text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return ID{}, fault.New(fault.Invalid, "parse order id", "%q: %w", text, err)
	}
	return id, nil
}

// Status is a station in the life of an order.
type Status string

// The stations, in their order; cancelled is possible until it is shipped.
const (
	Placed    Status = "placed"
	Paid      Status = "paid"
	Shipped   Status = "shipped"
	Delivered Status = "delivered"
	Cancelled Status = "cancelled"
)

var following = map[Status][]Status{
	Placed:  {Paid, Cancelled},
	Paid:    {Shipped, Cancelled},
	Shipped: {Delivered},
}

// Request is what a customer asks for.
type Request struct {
	Customer string         `json:"customer"`
	Country  string         `json:"country"`
	Lines    []pricing.Line `json:"lines"`
}

// Order is a request that the shop has accepted, at the prices of that moment.
type Order struct {
	ID       ID            `json:"id"`
	Customer string        `json:"customer"`
	Country  string        `json:"country"`
	Quote    pricing.Quote `json:"quote"`
	Status   Status        `json:"status"`
	PlacedAt time.Time     `json:"placed_at"`
	// ChangedAt is when Status got its present value.
	ChangedAt time.Time `json:"changed_at"`
}

// Place accepts a request at a time.
func Place(c *catalog.Catalog, request Request, now time.Time) (Order, error) {
	const op = "place order"
	if strings.TrimSpace(request.Customer) == "" {
		return Order{}, fault.New(fault.Invalid, op, "the customer has no name")
	}
	quote, err := pricing.For(c, request.Country, request.Lines)
	if err != nil {
		return Order{}, fault.Wrap(op, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Order{}, fault.New(fault.Unavailable, op, "make an id: %w", err)
	}
	// Whole milliseconds in UTC survive JSON, so a stored order equals the placed one.
	now = now.UTC().Truncate(time.Millisecond)
	return Order{
		ID:        id,
		Customer:  request.Customer,
		Country:   request.Country,
		Quote:     quote,
		Status:    Placed,
		PlacedAt:  now,
		ChangedAt: now,
	}, nil
}

// Advance returns the order with its next status. A step that the present status
// does not allow is [fault.Conflict].
func (o Order) Advance(next Status, now time.Time) (Order, error) {
	if !slices.Contains(following[o.Status], next) {
		return o, fault.New(fault.Conflict, "advance order", "%s is %s and cannot become %s", o.ID, o.Status, next)
	}
	o.Status = next
	o.ChangedAt = now.UTC().Truncate(time.Millisecond)
	return o, nil
}
