//! What goes out, and its answers.

use super::Engine;
use super::command::Command;
use super::message::Answer;
use crate::core::Event;

impl Engine {
    pub(super) fn send_to_queue(&mut self) {
        if let Some(said) = self.outbox.next_for_queue() {
            self.commands.push(Command::TellQueue(said));
        }
    }

    pub(super) fn queue_told(&mut self, at_once: bool) {
        self.outbox.queue_told();
        self.queue_failed |= !at_once;
    }

    pub(super) fn send_lookups(&mut self) {
        while let Some(asked) = self.outbox.next_lookups() {
            self.commands.push(Command::LookUp(asked));
        }
    }

    pub(super) fn take_answers(&mut self, answers: Vec<Answer>) {
        self.outbox.lookups_answered();
        for Answer {
            key,
            verify,
            result,
        } in answers
        {
            self.step(Event::CacheAnswer {
                key,
                verify,
                result,
            });
        }
    }

    pub(super) fn send_records(&mut self) {
        while let Some(records) = self.outbox.next_records() {
            self.commands.push(Command::Record(records));
        }
    }

    pub(super) fn send_measurements(&mut self) {
        if let Some(measurements) = self.outbox.next_measurements() {
            self.commands.push(Command::Measure(measurements));
        }
    }
}
