package server

import (
	"fmt"
	"net/http"
)

func handle(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		http.Error(w, "name is missing", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "hello %s\n", name)
}
