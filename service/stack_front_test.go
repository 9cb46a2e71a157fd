//go:build stack

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
)

// front stands where Prometheus and Alertmanager find wxnotify's private door. It
// passes everything on, a post to the service of the environment that its alert
// names, and keeps what was posted.
type front struct {
	mu    sync.Mutex
	doors map[string]*url.URL // by environment
	any   *url.URL            // the first one: for what names no environment
	kept  []post
}

// post is one alert as it was posted.
type post struct {
	at       time.Time
	status   string
	labels   map[string]string
	answered int
}

func newFront(t *testing.T, s *stack) *front {
	t.Helper()
	f := &front{doors: map[string]*url.URL{}}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", s.doors["service:9090"])
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: f}}
	server.Start()
	t.Cleanup(server.Close)
	return f
}

// open leads an environment to its service's private door.
func (f *front) open(environment, door string) {
	to, err := url.Parse(door)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doors[environment] = to
	if f.any == nil {
		f.any = to
	}
}

// ServeHTTP passes a request on.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var message struct {
		Alerts []struct {
			Status string
			Labels map[string]string
		}
	}
	_ = json.Unmarshal(body, &message) // a GET has none
	f.mu.Lock()
	to := f.any
	for _, a := range message.Alerts {
		if door := f.doors[a.Labels["deployment_environment_name"]]; door != nil {
			to = door
		}
	}
	f.mu.Unlock()
	began := time.Now()
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(answer *http.Response) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, a := range message.Alerts {
			f.kept = append(f.kept, post{began, a.Status, a.Labels, answer.StatusCode})
		}
		return nil
	}
	proxy.ServeHTTP(w, r)
}

// posts is everything that was posted so far and answered.
func (f *front) posts() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.kept)
}

// took reports whether a failure was posted, and taken.
func (f *front) took(merchant string, class callback.Class, reason callback.Reason) bool {
	return slices.ContainsFunc(f.posts(), func(p post) bool {
		return p.status == "firing" && p.answered == http.StatusNoContent && p.labels["alertname"] == callbackFailed &&
			p.labels["merchant"] == merchant && p.labels["class"] == string(class) && p.labels["error_type"] == string(reason)
	})
}

// first says when a merchant was first named in a post.
func (f *front) first(merchant string) (at time.Time, named bool) {
	for _, p := range f.posts() {
		if p.labels["merchant"] == merchant {
			return p.at, true
		}
	}
	return at, false
}
