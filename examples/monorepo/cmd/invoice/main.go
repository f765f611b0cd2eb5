// Command invoice renders invoices from a journal of orders, without a server.
//
//	invoice [-journal orders.jsonl] [-format text|html] [-lang de] [ORDER...]
//
// Without orders it renders all that are not cancelled. Stop shopd first: opening a
// journal may drop a line that another process is still writing.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"example.com/shop/internal/fault"
	"example.com/shop/internal/invoice"
	"example.com/shop/internal/journal"
	"example.com/shop/internal/order"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "invoice: %v\n%s\n", err, fault.Advice(err))
		os.Exit(fault.ExitCode(err))
	}
}

func run(args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("invoice", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("journal", "orders.jsonl", "`file` that holds the orders")
	format := flags.String("format", string(invoice.Text), "text or html")
	lang := flags.String("lang", "en", fmt.Sprintf("one of %v", invoice.Languages()))
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

	selected, err := selectOrders(j, flags.Args())
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	for _, o := range selected {
		if err := invoice.Render(out, o, invoice.Format(*format), *lang); err != nil {
			return err
		}
	}
	return fault.Wrap("write invoices", out.Flush())
}

func selectOrders(j *journal.Journal, ids []string) ([]order.Order, error) {
	var selected []order.Order
	for _, text := range ids {
		id, err := order.ParseID(text)
		if err != nil {
			return nil, err
		}
		o, err := j.Get(id)
		if err != nil {
			return nil, err
		}
		selected = append(selected, o)
	}
	if len(ids) == 0 {
		for _, o := range j.All() {
			if o.Status != order.Cancelled {
				selected = append(selected, o)
			}
		}
	}
	return selected, nil
}
