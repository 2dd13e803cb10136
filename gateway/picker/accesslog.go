package picker

import (
	"errors"
	"io"
	"strconv"
	"time"

	alogv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/owners"
)

// StreamAccessLogs takes what Envoy says of finished requests and hands it on
// as events. Requests that we did not pick, and those that we refused (they
// were handed on then), are left out.
func (p *Picker) StreamAccessLogs(stream accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&accesslogv3.StreamAccessLogsResponse{})
		}
		if err != nil {
			return ended(err)
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			if ev := eventOf(e); ev != nil {
				p.opt.Gateway.Record(ev)
			}
		}
	}
}

// eventOf makes an event of a log entry, or nil.
func eventOf(e *alogv3.HTTPAccessLogEntry) *gateway.Event {
	c := e.GetCommonProperties()
	if t := c.GetAccessLogType(); t != alogv3.AccessLogType_DownstreamEnd && t != alogv3.AccessLogType_NotSet {
		return nil
	}
	about := c.GetMetadata().GetFilterMetadata()[Namespace]
	if text(about, "class") == "" {
		return nil
	}
	ev := &gateway.Event{
		Start: c.GetStartTime().AsTime(), Duration: duration(c),
		Class: text(about, "class"), Method: text(about, "method"), Caller: text(about, "caller"),
		App: text(about, "app"), ObjectVersion: text(about, "version"), Host: text(about, "host"), Override: text(about, "override"),
		Object: owners.Key{Class: text(about, "class"), ID: text(about, "object")},
		Status: int(e.GetResponse().GetResponseCode().GetValue()),
	}
	ev.Upgrade = ev.Status == 101
	trailers := e.GetResponse().GetResponseTrailers()
	ev.Code = gateway.GRPCCode(trailers["grpc-status"], trailers["grpc-status-details-bin"])
	switch {
	case ev.Code != "":
	case ev.Status == 0:
		ev.Code = "canceled"
	case ev.Status >= 500:
		ev.Code = "http_" + strconv.Itoa(ev.Status)
	}
	return ev
}

func text(s *structpb.Struct, name string) string { return s.GetFields()[name].GetStringValue() }

func duration(c *alogv3.AccessLogCommon) time.Duration {
	if d := c.GetDuration(); d != nil {
		return d.AsDuration()
	}
	return c.GetTimeToLastDownstreamTxByte().AsDuration()
}
