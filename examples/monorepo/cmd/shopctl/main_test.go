package main

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/httpapi"
	"example.com/shop/internal/journal"
)

// shop starts a server and returns a function that runs shopctl against it.
func shop(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	c, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "orders.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	api := httpapi.API{Catalog: c, Journal: j, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	handler, err := api.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(args ...string) (string, error) {
		var stdout, stderr strings.Builder
		err := run(t.Context(), append([]string{"-server", server.URL + "/"}, args...), &stdout, &stderr)
		return stdout.String(), err
	}
}

func TestOrderByCommandLine(t *testing.T) {
	shopctl := shop(t)
	out, err := shopctl("place", "Ada", "DE", "TEA-ASSAM-250=1")
	if err != nil {
		t.Fatal(err)
	}
	id, total, _ := strings.Cut(strings.TrimSpace(out), " ")
	if total != "14.42 EUR" {
		t.Errorf("total = %q", total)
	}
	if out, err := shopctl("advance", id, "paid"); err != nil || out != id+" paid\n" {
		t.Errorf("advance printed %q, %v", out, err)
	}
	if _, err := shopctl("advance", id, "delivered"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a step too far: %v", err)
	}
	if out, err := shopctl("invoice", id, "fr"); err != nil || !strings.Contains(out, "Facture "+id) {
		t.Errorf("invoice printed %q, %v", out, err)
	}
}

func TestCommands(t *testing.T) {
	shopctl := shop(t)
	for _, tc := range []struct {
		args []string
		out  string
		code int
	}{
		{[]string{"products", "lime tree"}, "HONEY-LIME-250  Lime tree honey, 250 g  5.25 EUR\n", 0},
		{[]string{"place", "Ada", "DE", "TEA-ASSAM-250"}, "", 2},
		{[]string{"place", "Ada", "DE", "COFFEE=1"}, "", 1},
		{[]string{"brew"}, "", 2},
		{nil, "", 2},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			out, err := shopctl(tc.args...)
			if out != tc.out || fault.ExitCode(err) != tc.code {
				t.Errorf("printed %q, %v; want %q and exit code %d", out, err, tc.out, tc.code)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	err := run(t.Context(), []string{"-server", "http://127.0.0.1:1", "version"}, &strings.Builder{}, &strings.Builder{})
	if fault.ExitCode(err) != 75 {
		t.Errorf("error %v, want one that asks to try again", err)
	}
}
