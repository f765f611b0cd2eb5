// Command shopd is the server of the shop.
//
//	shopd [-addr localhost:8080] [-journal orders.jsonl]
//
// It ends on SIGINT or SIGTERM, after the requests in progress.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/httpapi"
	"example.com/shop/internal/journal"
	"example.com/shop/internal/version"
)

// drain is how long requests in progress may take after a signal.
const drain = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "shopd: %v\n%s\n", err, fault.Advice(err))
		stop()
		os.Exit(fault.ExitCode(err))
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("shopd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "`address` to listen on")
	path := flags.String("journal", "orders.jsonl", "`file` that holds the orders")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fault.New(fault.Invalid, "read flags", "%w", err)
	}

	products, err := catalog.Default()
	if err != nil {
		return err
	}
	orders, err := journal.Open(*path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, orders.Close()) }()

	log := slog.New(slog.NewTextHandler(stderr, nil))
	api := httpapi.API{Catalog: products, Journal: orders, Log: log, Now: time.Now}
	handler, err := api.Handler()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fault.New(fault.Unavailable, "listen", "%w", err)
	}
	log.Info("serving", "addr", listener.Addr(), "version", version.Long())
	return serve(ctx, listener, handler)
}

// serve answers requests until ctx ends, then waits for those in progress.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fault.New(fault.Unavailable, "serve", "%w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	return fault.Wrap("stop server", server.Shutdown(limit))
}
