// Command report sums up a journal of orders and ships those that are paid.
//
//	report [-journal orders.jsonl] [-ship]
//
// It prints what was sold on each day, by category. With -ship it first hands the
// paid orders to the carrier, a folder of labels beside the journal. A journal has
// one writer: stop shopd first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/fulfil"
	"example.com/shop/internal/journal"
	"example.com/shop/internal/order"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "report: %v\n%s\n", err, fault.Advice(err))
		stop()
		os.Exit(fault.ExitCode(err))
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("journal", "orders.jsonl", "`file` that holds the orders")
	ship := flags.Bool("ship", false, "hand paid orders to the carrier first")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fault.New(fault.Invalid, "read flags", "%w", err)
	}
	j, err := journal.Open(*path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if *ship {
		log := slog.New(slog.NewTextHandler(stderr, nil))
		if err := shipPaid(ctx, j, labels{filepath.Join(filepath.Dir(*path), "labels")}, log); err != nil {
			return err
		}
	}
	summary, err := summarize(j.All())
	if err != nil {
		return err
	}
	return fault.Wrap("write report", summary.print(stdout))
}

// shipPaid ships the paid orders and records each that the carrier took.
func shipPaid(ctx context.Context, j *journal.Journal, carrier fulfil.Carrier, log *slog.Logger) error {
	var paid []order.Order
	for _, o := range j.All() {
		if o.Status == order.Paid {
			paid = append(paid, o)
		}
	}
	d := fulfil.Dispatcher{Carrier: carrier, Log: log, Workers: 4, Attempts: 3, Pause: time.Second}
	var failed []error
	for _, result := range d.Run(ctx, paid) {
		err := result.Err
		if err == nil {
			_, err = j.Update(result.ID, func(o order.Order) (order.Order, error) {
				return o.Advance(order.Shipped, time.Now())
			})
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// labels is a carrier that collects parcels by their labels in a folder.
type labels struct{ dir string }

// Ship writes the label of an order.
func (l labels) Ship(_ context.Context, o order.Order) error {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return fault.New(fault.Unavailable, "print label", "%w", err)
	}
	label := fmt.Sprintf("%s\n%s\n", o.Customer, o.Country)
	if err := os.WriteFile(filepath.Join(l.dir, o.ID.String()+".txt"), []byte(label), 0o644); err != nil {
		return fault.New(fault.Unavailable, "print label", "%w", err)
	}
	return nil
}
