package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"example.com/shop/internal/fault"
)

// client sends requests to a shopd.
type client struct {
	// base is the address without a slash at its end.
	base string
}

func escape(text string) string { return url.QueryEscape(text) }

// get reads the JSON answer at path into answer.
func (c client) get(ctx context.Context, path string, answer any) error {
	body, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return fault.Wrap("read answer", json.NewDecoder(body).Decode(answer))
}

// post sends a value as JSON and reads the JSON answer.
func (c client) post(ctx context.Context, path string, value, answer any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fault.Wrap("encode request", err)
	}
	body, err := c.send(ctx, http.MethodPost, path, "", content)
	if err != nil {
		return err
	}
	defer body.Close()
	return fault.Wrap("read answer", json.NewDecoder(body).Decode(answer))
}

// text copies the answer at path to w.
func (c client) text(ctx context.Context, path, language string, w io.Writer) error {
	body, err := c.send(ctx, http.MethodGet, path, language, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return fault.Wrap("read answer", err)
}

// send returns the body of a good answer. The caller closes it.
func (c client) send(ctx context.Context, method, path, language string, content []byte) (io.ReadCloser, error) {
	const op = "ask the server"
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(content))
	if err != nil {
		return nil, fault.New(fault.Invalid, op, "%w", err)
	}
	if language != "" {
		request.Header.Set("Accept-Language", language)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fault.New(fault.Unavailable, op, "%w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	var failure struct{ Error string }
	if err := json.NewDecoder(response.Body).Decode(&failure); err != nil {
		return nil, fault.New(fault.Internal, op, "%s and no reason: %w", response.Status, err)
	}
	return nil, fault.New(kindOf(response.StatusCode), op, "%s", failure.Error)
}

func kindOf(status int) fault.Kind {
	switch status {
	case http.StatusBadRequest:
		return fault.Invalid
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusServiceUnavailable:
		return fault.Unavailable
	default:
		return fault.Internal
	}
}
