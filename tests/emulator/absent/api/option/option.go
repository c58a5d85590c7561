// Package option has the options that the emulator's server gives to the client that it is built without.
package option

import (
	"net/http"

	"golang.org/x/oauth2/google"
)

// ClientOption is an option of a client.
type ClientOption any

// WithHTTPClient is ignored.
func WithHTTPClient(*http.Client) ClientOption { return nil }

// WithCredentials is ignored.
func WithCredentials(*google.Credentials) ClientOption { return nil }
