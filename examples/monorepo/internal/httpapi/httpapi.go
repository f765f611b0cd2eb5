// Package httpapi serves the shop over HTTP: a JSON interface under /api/ and a
// page for people at /.
//
//	GET  /api/products[?q=text]      the catalog, or what matches the text
//	POST /api/orders                 place an order; the body is an order.Request
//	GET  /api/orders                 all orders, the oldest first
//	GET  /api/orders/{id}            one order
//	POST /api/orders/{id}/{status}   take an order to its next status
//	GET  /api/orders/{id}/invoice    its invoice, ?format=html or text
//	GET  /api/version                release and edition
//
// An error is a JSON object with the members "error" and "advice"; its status
// follows from the kind of the error.
package httpapi

import (
	"embed"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"example.com/shop/internal/catalog"
	"example.com/shop/internal/fault"
	"example.com/shop/internal/invoice"
	"example.com/shop/internal/journal"
	"example.com/shop/internal/order"
	"example.com/shop/internal/pricing"
	"example.com/shop/internal/version"
)

//go:embed web
var web embed.FS

// maxBody bounds the body of a request in bytes. An order is far smaller.
const maxBody = 64 << 10

// API holds what the handlers need. All fields are required.
type API struct {
	Catalog *catalog.Catalog
	Journal *journal.Journal
	Log     *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Handler returns the routes.
func (a *API) Handler() (http.Handler, error) {
	pages, err := fs.Sub(web, "web")
	if err != nil {
		return nil, fault.Wrap("open embedded pages", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.HandleFunc("GET /api/version", a.json(a.version))
	mux.HandleFunc("GET /api/products", a.json(a.products))
	mux.HandleFunc("GET /api/orders", a.json(a.orders))
	mux.HandleFunc("POST /api/orders", a.json(a.place))
	mux.HandleFunc("GET /api/orders/{id}", a.json(a.order))
	mux.HandleFunc("POST /api/orders/{id}/{status}", a.json(a.advance))
	mux.HandleFunc("GET /api/orders/{id}/invoice", a.invoice)
	return mux, nil
}

// Version is the answer of /api/version.
type Version struct {
	Version string `json:"version"`
	Edition string `json:"edition"`
}

func (a *API) version(*http.Request) (any, error) {
	return Version{version.String(), pricing.Edition}, nil
}

func (a *API) products(r *http.Request) (any, error) {
	found := slices.Collect(a.Catalog.Search(r.FormValue("q")))
	if found == nil {
		found = []catalog.Product{} // [] in JSON, not null
	}
	return found, nil
}

func (a *API) orders(*http.Request) (any, error) { return a.Journal.All(), nil }

func (a *API) place(r *http.Request) (any, error) {
	var request order.Request
	body := json.NewDecoder(r.Body)
	body.DisallowUnknownFields()
	if err := body.Decode(&request); err != nil {
		return nil, fault.New(fault.Invalid, "read order", "%w", err)
	}
	placed, err := order.Place(a.Catalog, request, a.Now())
	if err != nil {
		return nil, err
	}
	if err := a.Journal.Put(placed); err != nil {
		return nil, err
	}
	a.Log.Info("order placed", "order", placed.ID, "total", placed.Quote.Total)
	return placed, nil
}

func (a *API) find(r *http.Request) (order.Order, error) {
	id, err := order.ParseID(r.PathValue("id"))
	if err != nil {
		return order.Order{}, err
	}
	return a.Journal.Get(id)
}

func (a *API) order(r *http.Request) (any, error) { return a.find(r) }

func (a *API) advance(r *http.Request) (any, error) {
	id, err := order.ParseID(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return a.Journal.Update(id, func(o order.Order) (order.Order, error) {
		return o.Advance(order.Status(r.PathValue("status")), a.Now())
	})
}

func (a *API) invoice(w http.ResponseWriter, r *http.Request) {
	o, err := a.find(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	format, contentType := invoice.HTML, "text/html; charset=utf-8"
	if r.FormValue("format") == string(invoice.Text) {
		format, contentType = invoice.Text, "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	if err := invoice.Render(w, o, format, r.Header.Get("Accept-Language")); err != nil {
		a.Log.Error("invoice cut short", "order", o.ID, "err", err)
	}
}

// json makes a handler of a function that returns a value or an error.
func (a *API) json(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		value, err := f(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.write(w, http.StatusOK, value)
	}
}

// Failure is the body of an answer that is an error.
type Failure struct {
	Error  string `json:"error"`
	Advice string `json:"advice"`
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := map[fault.Kind]int{
		fault.Invalid:     http.StatusBadRequest,
		fault.NotFound:    http.StatusNotFound,
		fault.Conflict:    http.StatusConflict,
		fault.Unavailable: http.StatusServiceUnavailable,
	}[fault.KindOf(err)]
	if status == 0 {
		status = http.StatusInternalServerError
		a.Log.Error("internal error", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	a.write(w, status, Failure{err.Error(), fault.Advice(err)})
}

func (a *API) write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		a.Log.Warn("answer cut short", "err", err)
	}
}
