//! Hostile frames through the codec of the wire (D3): no panic, no long work, no much memory, and what
//! gets through is written as it was read. `HASHGUILD_FUZZ` sets how many mutations each part makes.

use crate::bounds::bounded;
use crdt::sync::{Answer, Frontier, Pull, Question, Range, answer};
use crdt::testkit::{Random, charter, people, spend};
use crdt::{Digest, Document, EntryId, Payload, ProposalId};
use libp2p::futures::executor::block_on;
use libp2p::futures::io::Cursor;
use libp2p::request_response::Codec as _;
use node::core::ask::Ask;
use node::net::limits::{REQUEST_MAX, RESPONSE_MAX};
use node::net::protocol::{Codec, NAME, Request, Response};
use std::io;
use threshold::sign::Refusal;

fn rounds(default: u32) -> u32 {
    std::env::var("HASHGUILD_FUZZ").map_or(default, |count| count.parse().unwrap())
}

/// A document of a hundred people, a few of whom said something.
fn document() -> Document {
    let people = people(100);
    let mut document = Document::new(&charter(&people));
    for person in people.iter().take(12) {
        person.say(&mut document, 10, Payload::Accept);
        person.say(&mut document, 10, spend(70_000));
    }
    document
}

fn requests(document: &Document) -> Vec<Request> {
    let ranges = document.chains().take(32).map(|(author, _)| Range { author: *author, from: 3 }).collect();
    let wanted = vec![EntryId(Digest([3; 32])); 4];
    let proposal = ProposalId(Digest([7; 32]));
    vec![
        Request::Charter,
        Request::Sync(Question::Compare(Frontier::of(document).digest())),
        Request::Sync(Question::Pull(Pull { ranges, wanted })),
        Request::Dkg(vec![0xa5; 300]),
        crate::bus::Bus::offer(Ask::Certificate(proposal), [1; 32], [2; 32]),
        Request::Sign {
            ask: Ask::Payment { decision: proposal, height: 800_000, fee_rate: 12 },
            package: vec![0x5a; 200],
        },
        Request::Transcript,
    ]
}

fn responses(document: &Document) -> Vec<Response> {
    let ranges = document.chains().take(4).map(|(author, _)| Range { author: *author, from: 0 }).collect();
    let page = answer(document, &Question::Pull(Pull { ranges, wanted: vec![] }));
    vec![
        Response::Charter(vec![1; 300]),
        Response::Sync(Answer::Same),
        Response::Sync(Answer::Frontier(Frontier::of(document))),
        Response::Sync(page),
        Response::Taken,
        Response::Commitments(vec![2; 100]),
        Response::Shares(vec![3; 100]),
        Response::Refused(Refusal::new("fee", "at most 100", "101")),
        Response::NotAllowed,
        Response::Transcript(vec![4; 400]),
    ]
}

fn read_request(bytes: &[u8]) -> io::Result<Request> {
    block_on(Codec.read_request(&NAME, &mut Cursor::new(bytes)))
}

fn read_response(bytes: &[u8]) -> io::Result<Response> {
    block_on(Codec.read_response(&NAME, &mut Cursor::new(bytes)))
}

fn written_request(request: Request) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    block_on(Codec.write_request(&NAME, &mut bytes, request)).unwrap();
    bytes.into_inner()
}

fn written_response(response: Response) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    block_on(Codec.write_response(&NAME, &mut bytes, response)).unwrap();
    bytes.into_inner()
}

/// Mutate `seeds`, read them, and write what is read and read it again: how many got through.
fn fuzz<T: PartialEq + Clone>(
    random: &mut Random,
    seeds: &[Vec<u8>],
    read: impl Fn(&[u8]) -> io::Result<T>,
    write: impl Fn(T) -> Vec<u8>,
) -> u32 {
    let mut through = 0;
    for _ in 0..rounds(150_000) {
        let seed = random.pick(seeds);
        let bytes = random.mutate(seed);
        if let Ok(message) = bounded(&bytes, || read(&bytes)) {
            through += 1;
            let again = read(&write(message.clone()));
            assert!(again.is_ok_and(|again| again == message), "what was read is written as it was read");
        }
    }
    through
}

#[test]
fn mutated_requests_are_refused_or_read_as_they_stand() {
    let seeds: Vec<Vec<u8>> = requests(&document()).into_iter().map(written_request).collect();
    let through = fuzz(&mut Random::new(1), &seeds, read_request, written_request);
    assert!(through > 1_000, "{through} got through");
}

#[test]
fn mutated_responses_are_refused_or_read_as_they_stand() {
    let seeds: Vec<Vec<u8>> = responses(&document()).into_iter().map(written_response).collect();
    let through = fuzz(&mut Random::new(2), &seeds, read_response, written_response);
    assert!(through > 1_000, "{through} got through");
}

/// A frame as long as a frame may be costs what it is long, and not a multiple by what it claims to hold.
#[test]
fn the_longest_frames_cost_what_they_are_long() {
    for (kind, item) in (0..9).flat_map(|kind| [(kind, 0), (kind, 1), (kind, 0x7f)]) {
        for tag in 0..4 {
            let full = |max: u64| {
                let mut bytes = vec![kind, tag, 0xff, 0xff, 0x1f];
                bytes.resize(usize::try_from(max).unwrap(), item);
                bytes
            };
            let (request, response) = (full(REQUEST_MAX), full(RESPONSE_MAX));
            let asked = allocation_counter::measure(|| drop(read_request(&request)));
            let answered = allocation_counter::measure(|| drop(read_response(&response)));
            assert!(asked.bytes_max <= 4 * REQUEST_MAX, "{kind} {tag} {item}: {asked:?}");
            assert!(answered.bytes_max <= 4 * RESPONSE_MAX, "{kind} {tag} {item}: {answered:?}");
        }
    }
    let too_long = |max: u64| vec![0; usize::try_from(max).unwrap() + 1];
    assert!(read_request(&too_long(REQUEST_MAX)).is_err() && read_response(&too_long(RESPONSE_MAX)).is_err());
}
