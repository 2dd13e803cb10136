package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes the contract: the same report gives the same bytes.
func JSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		return fmt.Errorf("write json: %w", err)
	}
	return nil
}
