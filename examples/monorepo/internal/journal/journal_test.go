package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/order"
	"example.com/shop/internal/pricing"
)

// archive is a journal of archived orders that the tests copy, made once.
var archive struct {
	path   string
	orders []order.Order
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "journal-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		archive.path = filepath.Join(dir, "archive.jsonl")
		if err := fillArchive(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func fillArchive() error {
	j, err := Open(archive.path)
	if err != nil {
		return err
	}
	for i := range 20 {
		o, err := newOrder(i)
		if err == nil {
			err = j.Put(o)
		}
		if err != nil {
			return errors.Join(err, j.Close())
		}
		archive.orders = append(archive.orders, o)
	}
	return j.Close()
}

func newOrder(i int) (order.Order, error) {
	c, err := catalog.Default()
	if err != nil {
		return order.Order{}, err
	}
	request := order.Request{
		Customer: fmt.Sprintf("Customer %d", i),
		Country:  "AT",
		Lines:    []pricing.Line{{SKU: "TEA-SENCHA-100", Quantity: int64(i + 1)}},
	}
	return order.Place(c, request, time.Date(2025, 3, 1, 0, i, 0, 0, time.UTC))
}

// openCopy opens a copy of the archive with extra text at its end.
func openCopy(t *testing.T, extra string) (*Journal, error) {
	t.Helper()
	content, err := os.ReadFile(archive.path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "orders.jsonl")
	if err := os.WriteFile(path, append(content, extra...), 0o644); err != nil {
		t.Fatal(err)
	}
	j, err := Open(path)
	if err == nil {
		t.Cleanup(func() { j.Close() })
	}
	return j, err
}

func TestReopen(t *testing.T) {
	j, err := openCopy(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := j.All(); !reflect.DeepEqual(got, archive.orders) {
		t.Errorf("%d orders came back, and differ from the %d written", len(got), len(archive.orders))
	}
	if err := j.Put(archive.orders[3]); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the same order again: %v", err)
	}
}

func TestHalfLineIsDropped(t *testing.T) {
	j, err := openCopy(t, `{"id":"0195`)
	if err != nil {
		t.Fatal(err)
	}
	added, err := newOrder(99)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Put(added); err != nil {
		t.Fatal(err)
	}
	again, err := Open(j.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := len(again.All()); got != len(archive.orders)+1 {
		t.Errorf("%d orders, want %d", got, len(archive.orders)+1)
	}
}

func TestDamagedLineIsAnError(t *testing.T) {
	if _, err := openCopy(t, "not json\n"); fault.KindOf(err) != fault.Invalid || err == nil {
		t.Errorf("error %v, want an invalid fault", err)
	}
}

// TestOneWins lets many goroutines pay the same order: only one may.
func TestOneWins(t *testing.T) {
	j, err := openCopy(t, "")
	if err != nil {
		t.Fatal(err)
	}
	const rivals = 16
	id := archive.orders[0].ID
	results := make(chan error, rivals)
	var wg sync.WaitGroup
	for range rivals {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := j.Update(id, func(o order.Order) (order.Order, error) {
				return o.Advance(order.Paid, time.Now())
			})
			results <- err
		}()
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if fault.KindOf(err) != fault.Conflict {
			t.Error(err)
		}
	}
	if o, err := j.Get(id); won != 1 || err != nil || o.Status != order.Paid {
		t.Errorf("%d paid, the order is %s, %v", won, o.Status, err)
	}
}
