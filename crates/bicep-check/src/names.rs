//! Names: that each stands for something, that none stands for two things, and that each is used.

use std::collections::BTreeSet;

use crate::{
    shape::{File, Shape, Symbol, function},
    template::{Expression, Finding, Kind, Module, Name, Place, Resource},
};

/// Prefixes before functions.
const NAMESPACES: [&str; 2] = ["az", "sys"];

/// Checks the names of a file.
pub(crate) fn check(file: &File<'_>, findings: &mut Vec<Finding>) {
    let mut names = Names { file, findings, used: BTreeSet::new() };
    names.twice();
    let template = file.template;
    for parameter in &template.parameters {
        names.declared(&parameter.name, &parameter.type_text, parameter.default.as_ref());
        for argument in parameter.decorators.iter().flat_map(|one| &one.arguments) {
            names.expression(argument, &[]);
        }
        if let Some(default) = &parameter.default {
            names.expression(default, &[]);
        }
        if parameter.description().is_none_or(str::is_empty) {
            let name = &parameter.name;
            names.say(name.place, format!("the parameter `{}` needs @description", name.text));
        }
    }
    for one in &template.variables {
        names.expression(&one.value, &[]);
    }
    for one in &template.resources {
        names.resource(one, &[]);
    }
    for one in &template.modules {
        names.module(one);
    }
    for output in &template.outputs {
        names.declared(&output.name, &output.type_text, Some(&output.value));
        names.expression(&output.value, &[]);
    }
    names.unused();
}

struct Names<'c> {
    file: &'c File<'c>,
    findings: &'c mut Vec<Finding>,
    used: BTreeSet<String>,
}

impl Names<'_> {
    fn say(&mut self, place: Place, message: String) {
        self.findings.push(Finding { file: self.file.path.to_owned(), place, message });
    }

    /// Names at the top of a file are there once, whatever they stand for; outputs have names of their own.
    fn twice(&mut self) {
        let template = self.file.template;
        let parameters = template.parameters.iter().map(|one| &one.name);
        let variables = template.variables.iter().map(|one| &one.name);
        let resources = template.resources.iter().map(|one| &one.symbol);
        let modules = template.modules.iter().map(|one| &one.symbol);
        let all = parameters.chain(variables).chain(resources).chain(modules);
        self.once(all.collect());
        self.once(template.outputs.iter().map(|one| &one.name).collect());
    }

    fn once(&mut self, names: Vec<&Name>) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name.text.as_str()) {
                self.say(name.place, format!("`{}` is declared twice", name.text));
            }
        }
    }

    fn declared(&mut self, name: &Name, type_text: &str, value: Option<&Expression>) {
        let Some(value) = value else { return };
        let (declared, found) = (Shape::declared(type_text), self.file.shape(value));
        if !found.fits(declared) && found != Shape::Null {
            let message = format!("`{}` is {type_text}, and this is {}", name.text, found.word());
            self.say(value.place, message);
        }
    }

    fn resource(&mut self, resource: &Resource, around: &[String]) {
        let mut known = around.to_vec();
        if let Some((variables, over)) = &resource.body.each {
            self.expression(over, &known);
            known.extend(variables.iter().map(|one| one.text.clone()));
        }
        if let Some(condition) = &resource.body.condition {
            self.expression(condition, &known);
        }
        let nested = resource.body.value.resources();
        known.extend(nested.iter().map(|one| one.symbol.text.clone()));
        self.expression(&resource.body.value, &known);
        for one in nested {
            self.resource(one, &known);
        }
    }

    fn module(&mut self, module: &Module) {
        let mut known = Vec::new();
        if let Some((variables, over)) = &module.body.each {
            self.expression(over, &known);
            known.extend(variables.iter().map(|one| one.text.clone()));
        }
        if let Some(condition) = &module.body.condition {
            self.expression(condition, &known);
        }
        self.expression(&module.body.value, &known);
    }

    /// `known` are the names that loops and resources around the expression bind.
    fn expression(&mut self, expression: &Expression, known: &[String]) {
        match &expression.kind {
            Kind::Name(name) => {
                self.used.insert(name.clone());
                let is_known = known.contains(name)
                    || self.file.symbols.contains_key(name.as_str())
                    || NAMESPACES.contains(&name.as_str());
                if !is_known {
                    self.say(expression.place, format!("nothing is declared as `{name}`"));
                }
            }
            Kind::Call(of, arguments) => {
                self.function(of, known);
                for one in arguments {
                    self.expression(one, known);
                }
            }
            Kind::For(each) => {
                self.expression(&each.over, known);
                let mut inside = known.to_vec();
                inside.extend(each.variables.iter().map(|one| one.text.clone()));
                let rest = each.condition.iter().chain([&each.body]);
                for one in rest {
                    self.expression(one, &inside);
                }
            }
            Kind::Member(of, name) => {
                self.output(of, name);
                self.expression(of, known);
            }
            Kind::Nested(of, name) => {
                let placed = self.file.template.placed();
                if !placed
                    .iter()
                    .any(|one| one.resource.symbol.text == name.text && !one.around.is_empty())
                {
                    self.say(
                        name.place,
                        format!("no nested resource is declared as `{}`", name.text),
                    );
                }
                self.expression(of, known);
            }
            _ => expression.parts().into_iter().for_each(|part| self.expression(part, known)),
        }
    }

    /// A function of the language by its name; that of a resource by what it is called on.
    fn function(&mut self, of: &Expression, known: &[String]) {
        match &of.kind {
            Kind::Name(name) => {
                if function(name).is_none() {
                    self.say(of.place, format!("there is no function `{name}`"));
                }
            }
            Kind::Member(namespace, name) if matches!(&namespace.kind, Kind::Name(text) if NAMESPACES.contains(&text.as_str())) => {
                if function(&name.text).is_none() {
                    self.say(name.place, format!("there is no function `{}`", name.text));
                }
            }
            _ => self.expression(of, known),
        }
    }

    /// `module.outputs.name` must be an output of the module's file.
    fn output(&mut self, of: &Expression, name: &Name) {
        let Kind::Member(module, outputs) = &of.kind else { return };
        let Kind::Name(symbol) = &module.kind else { return };
        let Some(Symbol::Module(module)) = self.file.symbols.get(symbol.as_str()) else { return };
        if outputs.text != "outputs" {
            return;
        }
        let Some(template) = self.file.module(module) else { return };
        if !template.outputs.iter().any(|one| one.name.text == name.text) {
            let message = format!("{} has no output `{}`", module.path.text, name.text);
            self.say(name.place, message);
        }
    }

    fn unused(&mut self) {
        let template = self.file.template;
        let parameters = template.parameters.iter().map(|one| &one.name);
        let variables = template.variables.iter().map(|one| &one.name);
        let all: Vec<&Name> = parameters.chain(variables).collect();
        for name in
            all.into_iter().filter(|name| !self.used.contains(&name.text)).collect::<Vec<_>>()
        {
            self.say(name.place, format!("`{}` is never used: remove it", name.text));
        }
    }
}
