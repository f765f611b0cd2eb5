package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/journal"
	"example.com/shop/internal/order"
	"example.com/shop/internal/pricing"
)

// fill writes orders of two days: two paid ones, one placed, one cancelled.
func fill(t *testing.T, path string) {
	t.Helper()
	c, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		day    int
		sku    catalog.SKU
		status order.Status
	}{
		{1, "TEA-ASSAM-250", order.Paid},
		{1, "TEA-SENCHA-100", order.Paid},
		{1, "POT-GLASS-1L", order.Placed},
		{2, "POT-GLASS-1L", order.Cancelled},
		{2, "HONEY-LIME-250", order.Placed},
	} {
		at := time.Date(2025, 3, one.day, 9, 0, 0, 0, time.UTC)
		o, err := order.Place(c, order.Request{Customer: "Ada", Country: "DE", Lines: []pricing.Line{{SKU: one.sku, Quantity: 2}}}, at)
		if err == nil && one.status != order.Placed {
			o, err = o.Advance(one.status, at)
		}
		if err == nil {
			err = j.Put(o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReportAndShip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.jsonl")
	fill(t, path)
	want := strings.Join([]string{
		"day         category  pieces  net",
		"2025-03-01  tea       4       42.80 EUR",
		"2025-03-01  ware      2       48.00 EUR",
		"2025-03-02  food      2       10.50 EUR",
		"",
	}, "\n")
	for _, args := range [][]string{{}, {"-ship"}, {"-ship"}} {
		var stdout, stderr strings.Builder
		if err := run(t.Context(), append(args, "-journal", path), &stdout, &stderr); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, stderr.String())
		}
		if stdout.String() != want {
			t.Errorf("%v printed\n%s\nwant\n%s", args, stdout.String(), want)
		}
	}
	written, err := os.ReadDir(filepath.Join(filepath.Dir(path), "labels"))
	if err != nil || len(written) != 2 {
		t.Errorf("%d labels, %v; want one for each paid order", len(written), err)
	}
}
