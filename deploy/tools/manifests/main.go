// Command manifests reads Kubernetes manifests from standard input, as strictly as an API server that is told to: kinds and
// fields that do not exist, values of another type and fields that stand twice are errors. It prints the objects as a JSON array.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	objects := []json.RawMessage{}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		plain, err := yaml.ToJSON(document)
		if err != nil {
			return fmt.Errorf("%w, in:\n%s", err, document)
		}
		if bytes.Equal(plain, []byte("null")) {
			continue
		}
		if _, _, err := strict.Decode(document, nil, nil); err != nil {
			return fmt.Errorf("%w, in:\n%s", err, document)
		}
		objects = append(objects, plain)
	}
	if len(objects) == 0 {
		return errors.New("no object on standard input")
	}
	return json.NewEncoder(out).Encode(objects)
}
