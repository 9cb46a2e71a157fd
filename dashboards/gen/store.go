package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/telemetry"
)

// store is where callbacks become durable: the database, the spool beside it,
// and the disk under both.
func store() []cog.Builder[dashboard.Panel] {
	operation := `db_client_operation_duration_seconds_bucket`
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 51, width: 8, height: 8, title: "Callbacks per commit · 每次提交的回调数", unit: "none", decimals: 1, empty: "no commit · 无提交",
			tints: named("mean", teal, "p95", blue),
			about: about{
				what:    "Callbacks that shared one database transaction (group commit).",
				normal:  "1 when it is quiet; more under load, which is the point of it.",
				do:      "a mean that stays in the hundreds: the database is slow to commit; see its durations beside.",
				chinese: "一次数据库提交所含的回调数（组提交）；空闲时为 1，负载高时变大属正常，长期上百说明数据库提交慢。",
			},
			queries: []query{
				ask(`sum(rate(`+histogram(telemetry.StoreBatch, "sum")+`[`+rateInterval+`])) / sum(rate(`+histogram(telemetry.StoreBatch, "count")+`[`+rateInterval+`]))`, "mean"),
				ask(`ceil(histogram_quantile(0.95, sum by (le) (rate(`+histogram(telemetry.StoreBatch, "bucket")+`[`+rateInterval+`]))))`, "p95"),
			},
		}.graph(),
		panel{
			id: 56, width: 8, height: 8, title: "Database durations, p95 · 数据库耗时", unit: "s", decimals: 1, empty: "no statement · 无语句", tints: every(blue),
			about: about{
				what:    "Time of database calls by operation, 95th percentile.",
				normal:  "statements below a millisecond on SQLite; a commit as long as the disk needs to sync.",
				do:      "commit slow: the disk or the database server. begin slow: somebody holds the write lock.",
				chinese: "各数据库操作的 P95 耗时；提交变慢查磁盘或数据库服务器，开始事务变慢说明写锁被占用。",
			},
			queries: []query{ask(`histogram_quantile(0.95, sum by (le, db_operation_name) (rate(`+ours(operation)+`[`+rateInterval+`])))`, `{{db_operation_name}}`)},
		}.graph(),
		panel{
			id: 57, width: 8, height: 8, title: "Database errors · 数据库错误", unit: "none", empty: "no error · 无错误", tints: every(amber),
			about: about{
				what:    "Database calls that ended in an error, by operation and kind of error.",
				normal:  "none, or single ones: a call that was cancelled in time, a lock that was tried again.",
				do:      "when callbacks fail with store_unavailable as well, open that runbook; else nothing.",
				chinese: "出错的数据库调用；零星出现可忽略，若同时出现 store_unavailable 失败请打开对应处置手册。",
			},
			queries: []query{ask(`sum by (db_operation_name, error_type) (increase(`+ours(`db_client_operation_duration_seconds_count`, `error_type!=""`)+`[`+rateInterval+`])) > 0`, `{{db_operation_name}} · {{error_type}}`)},
		}.bars(),
		panel{
			id: 52, width: 6, height: 8, title: "Spool in use · 本地暂存", unit: "bytes", limits: above(plain, limit{1, act}), empty: "not reported · 未上报", tints: every(blue),
			about: about{
				what:    "Bytes of callbacks' records that wait on the local disk because the database does not take them. The alert is WechatPaySpoolInUse.",
				normal:  "0.",
				do:      "the database is down or full. WeChat Pay gets 503 and sends again; nothing is lost as long as the spool has room. Repair the database; the spool empties itself.",
				chinese: "数据库不可用时暂存在本机的审计记录字节数；正常为 0，大于 0 说明数据库停机或写满，恢复后自动清空。",
			},
			queries: []query{ask(`sum by (instance) (`+series(telemetry.SpoolUsed)+`)`, `{{instance}}`)},
		}.graph(),
		panel{
			id: 53, width: 6, height: 8, title: "Disk free · 磁盘剩余", unit: "bytes", limits: above(act, limit{1 << 30, watch}, limit{5 << 30, plain}), empty: "not reported · 未上报", tints: every(teal),
			about: about{
				what:    "Bytes free on the file system of the store. Lines at 5 GiB, where WechatPayDiskFilling warns, and at 1 GiB, where it is critical; it also speaks when the trend reaches 0.",
				normal:  "gigabytes, and falling slowly.",
				do:      "make room or shorten the retention (not below what the law asks for, 6 months). A full disk makes every callback fail.",
				chinese: "存储所在文件系统的剩余空间；低于 5 GiB 预警、低于 1 GiB 严重；磁盘写满会使所有回调失败，请扩容或调整保留期（法定不少于 6 个月）。",
			},
			queries: []query{ask(`min by (instance) (`+series(telemetry.DiskFree)+`)`, `{{instance}}`)},
		}.graph(),
		panel{
			id: 54, width: 6, height: 8, title: "Age of the store's numbers · 快照时延", unit: "s", decimals: 1, limits: above(plain, limit{30, watch}), empty: "not reported · 未上报", tints: every(blue),
			about: about{
				what:    "How old the numbers are that the service last read from its database. Beyond 30 s failures, outstanding and last callback are absent rather than wrong.",
				normal:  "below 10 s.",
				do:      "the database does not answer: see its errors above. Paging goes on, from the counters.",
				chinese: "服务从数据库读取统计的时延；正常小于 10 秒，超过 30 秒相关指标会缺失（告警改由计数器继续工作）。请检查数据库。",
			},
			queries: []query{ask(`max by (instance) (`+series(telemetry.SnapshotAge)+`)`, `{{instance}}`)},
		}.graph(),
		panel{
			id: 55, width: 6, height: 8, title: "Callbacks kept · 留存回调数", unit: "short", decimals: 1, empty: "not reported · 未上报", tints: every(teal),
			about: about{
				what:    "Rows of the audit log.",
				normal:  "grows with traffic and levels out when the retention (200 days) is reached.",
				do:      "never levelling out: the purge does not run; look for its messages in the service's log.",
				chinese: "审计日志行数；随流量增长，到保留期（默认 200 天）后趋平，若一直增长请检查清理任务日志。",
			},
			queries: []query{ask(`max(`+series(telemetry.StoreRows)+`)`, "rows · 行数")},
		}.graph(),
	}
}
