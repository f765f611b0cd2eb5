package httpapi

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/journal"
	"example.com/shop/internal/order"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	c, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "orders.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	api := API{Catalog: c, Journal: j, Log: slog.New(slog.DiscardHandler), Now: time.Now}
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
	return server
}

// call sends a request and returns the status and the body of the answer.
func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Language", "de")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestOrderFromPlacedToShipped(t *testing.T) {
	orders := serve(t).URL + "/api/orders"
	status, body := call(t, "POST", orders, `{"customer":"Ada","country":"DE","lines":[{"sku":"POT-GLASS-1L","quantity":2}]}`)
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	var placed order.Order
	if err := json.Unmarshal([]byte(body), &placed); err != nil {
		t.Fatal(err)
	}
	one := orders + "/" + placed.ID.String()
	for _, step := range []struct {
		method, url string
		status      int
		part        string
	}{
		{"GET", one, 200, `"status":"placed"`},
		{"POST", one + "/shipped", 409, "cannot become shipped"},
		{"POST", one + "/paid", 200, `"status":"paid"`},
		{"POST", one + "/shipped", 200, `"status":"shipped"`},
		{"GET", orders, 200, `"status":"shipped"`},
		{"GET", one + "/invoice", 200, "<h1>Rechnung</h1>"},
		{"GET", one + "/invoice?format=text", 200, "Gesamt"},
	} {
		if status, body := call(t, step.method, step.url, ""); status != step.status || !strings.Contains(body, step.part) {
			t.Errorf("%s %s: %d %s", step.method, step.url, status, body)
		}
	}
}

func TestAnswers(t *testing.T) {
	base := serve(t).URL
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		part                     string
	}{
		{"page", "GET", "/", "", 200, "The tea shop"},
		{"style", "GET", "/assets/shop.css", "", 200, "font"},
		{"version", "GET", "/api/version", "", 200, `"version":"dev"`},
		{"search", "GET", "/api/products?q=honey", "", 200, "HONEY-LIME-250"},
		{"nothing found", "GET", "/api/products?q=coffee", "", 200, "[]"},
		{"no order", "GET", "/api/orders/0195e000-0000-7000-8000-000000000000", "", 404, "typing error"},
		{"no id", "GET", "/api/orders/17", "", 400, "parse order id"},
		{"no json", "POST", "/api/orders", "hello", 400, "read order"},
		{"unknown field", "POST", "/api/orders", `{"colour":"red"}`, 400, "colour"},
		{"no customer", "POST", "/api/orders", `{}`, 400, "has no name"},
		{"too long", "POST", "/api/orders", `{"customer":"` + strings.Repeat("a", maxBody) + `"}`, 400, "too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, body := call(t, tc.method, base+tc.path, tc.body)
			if status != tc.status || !strings.Contains(body, tc.part) {
				t.Errorf("%d %s; want %d and %q", status, body, tc.status, tc.part)
			}
		})
	}
}
