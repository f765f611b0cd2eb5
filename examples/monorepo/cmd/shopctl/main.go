// Command shopctl talks to a running shopd.
//
//	shopctl [-server URL] products [text]
//	shopctl [-server URL] place CUSTOMER COUNTRY SKU=QUANTITY...
//	shopctl [-server URL] advance ORDER STATUS
//	shopctl [-server URL] invoice ORDER [LANGUAGE]
//	shopctl [-server URL] version
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"text/tabwriter"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/order"
	"example.com/shop/internal/pricing"
	"example.com/shop/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "shopctl: %v\n%s\n", err, fault.Advice(err))
		stop()
		os.Exit(fault.ExitCode(err))
	}
}

const usage = `usage: shopctl [-server URL] COMMAND

  products [TEXT]                       list products
  place CUSTOMER COUNTRY SKU=QUANTITY.. place an order
  advance ORDER STATUS                  paid, shipped, delivered or cancelled
  invoice ORDER [LANGUAGE]              print an invoice
  version                               versions of client and server
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("shopctl", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	server := flags.String("server", "http://localhost:8080", "address of shopd")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fault.New(fault.Invalid, "read flags", "%w", err)
	}
	c := client{base: strings.TrimSuffix(*server, "/")}
	command, rest := flags.Arg(0), flags.Args()
	if len(rest) > 0 {
		rest = rest[1:]
	}
	switch {
	case command == "products" && len(rest) <= 1:
		return products(ctx, c, stdout, strings.Join(rest, ""))
	case command == "place" && len(rest) >= 3:
		return place(ctx, c, stdout, rest)
	case command == "advance" && len(rest) == 2:
		var o order.Order
		if err := c.post(ctx, "/api/orders/"+rest[0]+"/"+rest[1], nil, &o); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, o.ID, o.Status)
		return err
	case command == "invoice" && (len(rest) == 1 || len(rest) == 2):
		return c.text(ctx, "/api/orders/"+rest[0]+"/invoice?format=text", strings.Join(rest[1:], ""), stdout)
	case command == "version" && len(rest) == 0:
		var remote struct{ Version, Edition string }
		if err := c.get(ctx, "/api/version", &remote); err != nil {
			return err
		}
		_, err := fmt.Fprintf(stdout, "client %s\nserver %s, %s edition\n", version.Long(), remote.Version, remote.Edition)
		return err
	default:
		flags.Usage()
		return fault.New(fault.Invalid, "read command", "%q is not a command with %d arguments", command, len(rest))
	}
}

func products(ctx context.Context, c client, stdout io.Writer, text string) error {
	var found []catalog.Product
	if err := c.get(ctx, "/api/products?q="+escape(text), &found); err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, p := range found {
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.SKU, p.Name, p.Price)
	}
	return table.Flush()
}

func place(ctx context.Context, c client, stdout io.Writer, args []string) error {
	request := order.Request{Customer: args[0], Country: args[1]}
	for _, arg := range args[2:] {
		sku, count, _ := strings.Cut(arg, "=")
		quantity, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			return fault.New(fault.Invalid, "read line", "%q is not SKU=QUANTITY", arg)
		}
		request.Lines = append(request.Lines, pricing.Line{SKU: catalog.SKU(sku), Quantity: quantity})
	}
	var placed order.Order
	if err := c.post(ctx, "/api/orders", request, &placed); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, placed.ID, placed.Quote.Total)
	return err
}
