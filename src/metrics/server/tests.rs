use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::metrics::{Options, Registry};

fn ask(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn loopback(port: u16) -> SocketAddr {
    resolve("127.0.0.1", port.into()).unwrap()
}

fn nothing() -> Arc<Exporter> {
    Arc::new(Exporter::new(Vec::new(), Options::default()))
}

fn open() -> Arc<Server> {
    let registry = Registry::default();
    registry.counter("m_total", "", Some(&[])).unwrap();
    serve(Arc::new(Exporter::new(vec![Arc::new(registry)], Options::default())), loopback(0), None).unwrap()
}

fn close(server: &Server) {
    server.close().unwrap().wait();
}

#[test]
fn only_get_and_head_of_the_metrics_path_show_them() {
    let server = open();
    let shown = ask(&server, "GET /metrics?name=x");
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n"), "{shown}");
    assert!(shown.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{shown}");
    assert!(shown.ends_with("\r\n\r\n# TYPE m_total counter\nm_total 0\n"), "{shown}");
    let head = ask(&server, "HEAD /metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-length: 33\r\n"), "{head}");
    assert!(ask(&server, "GET /").starts_with("HTTP/1.1 404 "));
    let refused = ask(&server, "POST /metrics");
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD\r\n"), "{refused}");
    close(&server);
}

#[test]
fn a_closed_server_frees_its_port_and_may_be_closed_again() {
    let server = open();
    let port = server.address().port();
    let waiting = TcpStream::connect(server.address()).unwrap();
    close(&server);
    assert!(server.close().is_none() && !server.is_open());
    drop(waiting);
    close(&serve(nothing(), loopback(port), None).unwrap());
}

#[test]
fn more_idle_clients_than_places_cannot_keep_a_server_from_closing() {
    let server = open();
    let idle: Vec<TcpStream> =
        (0..2 * descriptors::CONNECTIONS).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    close(&server);
    assert!(TcpStream::connect(server.address()).is_err());
    drop(idle);
}

#[test]
fn idle_clients_give_their_places_to_one_that_asks_and_are_counted() {
    // So patient that nobody leaves by himself while this runs.
    let hour = Duration::from_secs(3600);
    let exporter = Arc::new(Exporter::new(Vec::new(), Options { own_metrics: true, ..Options::default() }));
    let patience = Patience { head: hour, stall: hour, answer: hour, all: hour };
    let service = Service { exporter, tls: None, patience };
    let server = serve_with(service, loopback(0)).unwrap();
    let idle: Vec<TcpStream> = (0..2 * descriptors::CONNECTIONS)
        .map(|number| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            // Some begin a request and never end it.
            stream.write_all(if number % 2 == 0 { b"GET /metrics HTTP/1.1\r\n" } else { b"" }).unwrap();
            stream
        })
        .collect();
    let shown = ask(&server, "GET /metrics");
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n"), "{shown}");
    let sent_away = descriptors::CONNECTIONS + 1;
    assert!(shown.contains(&format!("hagane_exporter_idle_connections_closed_total {sent_away}\n")), "{shown}");
    // The oldest went, the youngest are still there.
    idle[0].set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let gone =
        (&idle[0]).read(&mut [0]).map_or_else(|error| error.kind() == io::ErrorKind::ConnectionReset, |read| read == 0);
    assert!(gone);
    idle[idle.len() - 1].set_nonblocking(true).unwrap();
    assert_eq!((&idle[idle.len() - 1]).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    close(&server);
}

/// A server with a body of many MiB, more than any socket takes in at once.
fn with_much_to_show(patience: Patience) -> Arc<Server> {
    let registry = Registry::default();
    let family = registry.counter("m_total", "", Some(&["a".to_owned()])).unwrap();
    for number in 0..9000 {
        let value = format!("{number}{}", "x".repeat(1000));
        family.series(crate::metrics::LabelSet::Values(&[&value])).unwrap();
    }
    let exporter = Arc::new(Exporter::new(vec![Arc::new(registry)], Options::default()));
    serve_with(Service { exporter, tls: None, patience }, loopback(0)).unwrap()
}

/// A client that has asked, has the beginning of its answer, and reads no further.
fn not_reading(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    stream
}

/// Whether the answer goes on to its end; the server ends a connection with what it had.
fn is_whole(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok() && rest.len() > 9000 * 1000
}

#[test]
fn whoever_has_asked_keeps_his_place_while_one_that_has_not_can_give_his() {
    let hour = Duration::from_secs(3600);
    let server = with_much_to_show(Patience { head: hour, stall: hour, answer: hour, all: hour });
    let asked: Vec<TcpStream> = (1..descriptors::CONNECTIONS).map(|_| not_reading(&server)).collect();
    let mut idle = TcpStream::connect(server.address()).unwrap();
    idle.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let other = not_reading(&server);
    assert_eq!(idle.read(&mut [0]).map_err(|error| error.kind()), Ok(0));
    assert!(is_whole(asked.into_iter().next().unwrap()));
    assert!(is_whole(other));
    close(&server);
}

#[test]
fn the_oldest_of_those_who_do_not_read_gives_his_place_to_one_that_asks() {
    let hour = Duration::from_secs(3600);
    let answer = Duration::from_millis(50);
    let server = with_much_to_show(Patience { head: hour, stall: hour, answer, all: hour });
    let mut asked: VecDeque<TcpStream> = (0..descriptors::CONNECTIONS).map(|_| not_reading(&server)).collect();
    let other = not_reading(&server);
    assert!(!is_whole(asked.pop_front().unwrap()));
    assert!(is_whole(asked.pop_back().unwrap()));
    assert!(is_whole(other));
    close(&server);
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let hour = Duration::from_secs(3600);
    let stall = Duration::from_millis(50);
    let server = with_much_to_show(Patience { head: hour, stall, answer: hour, all: hour });
    let stalled = not_reading(&server);
    // Only the listener is left once it is cut off.
    while server.descriptors.open().len() > 1 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!is_whole(stalled));
    close(&server);
}

#[test]
fn an_address_that_cannot_be_had_is_named_with_the_remedy() {
    let server = open();
    let port = server.address().port();
    let taken = serve(nothing(), loopback(port), None).err().unwrap();
    assert!(matches!(taken, MetricError::Bind { .. }));
    assert!(taken.to_string().contains(&format!("port {port}: the port is in use; stop")), "{taken}");
    close(&server);
    let elsewhere = serve(nothing(), resolve("192.0.2.1", 0).unwrap(), None).err().unwrap();
    assert!(matches!(elsewhere, MetricError::Bind { .. }), "{elsewhere}");
    for (host, port) in [("127.0.0.1", 65_536), ("not a host", 0)] {
        assert!(matches!(resolve(host, port), Err(MetricError::Address { .. })));
    }
}

#[test]
fn noted_descriptors_are_listed_until_their_guard_is_gone() {
    let descriptors = Arc::new(Descriptors::new(3));
    let first = Descriptors::note(&descriptors, 7);
    let second = Descriptors::note(&descriptors, 8);
    assert_eq!(descriptors.open(), [3, 7, 8]);
    drop(first);
    descriptors.forget_listener();
    assert_eq!(descriptors.open(), [8]);
    drop(second);
    assert!(
        (0..descriptors::SLOTS as i32)
            .map(|at| Descriptors::note(&descriptors, at))
            .collect::<Vec<_>>()
            .iter()
            .all(Option::is_some)
    );
}

#[test]
fn a_client_that_does_not_get_on_is_cut_off() {
    let short = Duration::from_millis(50);
    for patience in [Patience { head: short, ..Patience::default() }, Patience { all: short, ..Patience::default() }] {
        let server = serve_with(Service { exporter: nothing(), tls: None, patience }, loopback(0)).unwrap();
        let mut slow = TcpStream::connect(server.address()).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
        slow.write_all(b"GET /metr").unwrap();
        assert_eq!(slow.read_to_string(&mut String::new()).map_err(|error| error.kind()), Ok(0));
        close(&server);
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
    std::fs::write(&empty, "no PEM\n").unwrap();
    for file in [&missing, &empty] {
        let error = load_tls(file, file).err().unwrap();
        assert!(matches!(&error, MetricError::Tls { path, .. } if path == file), "{error}");
    }
}
