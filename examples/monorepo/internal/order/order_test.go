package order

import (
	"strings"
	"testing"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/pricing"
)

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func place(t *testing.T) Order {
	t.Helper()
	c, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	o, err := Place(c, Request{"Ada", "DE", []pricing.Line{{SKU: "TEA-ASSAM-250", Quantity: 3}}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestLaterOrdersSortLater(t *testing.T) {
	first, second := place(t), place(t)
	if strings.Compare(first.ID.String(), second.ID.String()) >= 0 {
		t.Errorf("%v does not come before %v", first.ID, second.ID)
	}
}

func TestLife(t *testing.T) {
	all := []Status{Placed, Paid, Shipped, Delivered, Cancelled}
	for _, tc := range []struct {
		path    []Status
		allowed []Status
	}{
		{nil, []Status{Paid, Cancelled}},
		{[]Status{Paid}, []Status{Shipped, Cancelled}},
		{[]Status{Paid, Shipped}, []Status{Delivered}},
		{[]Status{Paid, Shipped, Delivered}, nil},
		{[]Status{Cancelled}, nil},
	} {
		o := place(t)
		for _, next := range tc.path {
			var err error
			if o, err = o.Advance(next, noon.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(string(o.Status), func(t *testing.T) {
			allowed := map[Status]bool{}
			for _, s := range tc.allowed {
				allowed[s] = true
			}
			for _, next := range all {
				changed, err := o.Advance(next, noon.Add(2*time.Hour))
				switch {
				case allowed[next] && (err != nil || changed.Status != next):
					t.Errorf("to %s: %v", next, err)
				case !allowed[next] && fault.KindOf(err) != fault.Conflict:
					t.Errorf("to %s: error %v, want a conflict", next, err)
				}
			}
		})
	}
}

func TestParseID(t *testing.T) {
	o := place(t)
	if got, err := ParseID(o.ID.String()); err != nil || got != o.ID {
		t.Errorf("ParseID = %v, %v", got, err)
	}
	if _, err := ParseID("17"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("error %v, want an invalid fault", err)
	}
}
